/** Text that grows until one of some strings appears in it, across pieces too. */
export class StoppableText {
  readonly #stops: readonly string[];
  #text = "";
  #shown = 0;

  /** @param stops none of them empty */
  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  get text(): string {
    return this.#text;
  }

  /**
   * Adds a piece; true if a stop string is there now, before whose first appearance the text ends.
   */
  add(piece: string): boolean {
    const old = this.#text.length;
    this.#text += piece;
    const places = this.#stops
      .map((stop) => this.#text.indexOf(stop, Math.max(0, old - stop.length + 1)))
      .filter((place) => place >= 0);
    if (places.length === 0) return false;
    this.#text = this.#text.slice(0, Math.min(...places));
    return true;
  }

  /**
   * The text that has become certain since the last call. Until the text is `final`, what may begin
   * a stop string is held back.
   */
  take({ final }: { final: boolean }): string {
    const end = final ? this.#text.length : this.#text.length - this.#held();
    const certain = this.#text.slice(this.#shown, end);
    this.#shown = Math.max(this.#shown, end);
    return certain;
  }

  /** The length of the longest end of the text that is the beginning of a stop string. */
  #held(): number {
    const longest = (stop: string) => {
      for (let length = stop.length - 1; length > 0; length--) {
        if (this.#text.endsWith(stop.slice(0, length))) return length;
      }
      return 0;
    };
    return Math.max(0, ...this.#stops.map(longest));
  }
}
