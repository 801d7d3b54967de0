import { startToken } from "./tokens/boundaries.ts";
import type { Tokenizer } from "./tokens/tokenizer.ts";

/**
 * Joins texts into one stream of tokens and divides it into windows.
 *
 * The stream is start, text, EOS, text, EOS, …; where the tokenizer adds BOS, each text has its
 * own. A window has exactly `length` tokens, the last one perhaps fewer, and its first token is
 * context only. It is also the last token of the window before, so that every token of the stream
 * but the first is learnt exactly once and nothing is left over.
 */
export class WindowPacker {
  readonly #length: number;
  readonly #addsBos: boolean;
  readonly #start: number;
  #window: number[];

  constructor(length: number, tokenizer: Tokenizer) {
    this.#length = length;
    this.#addsBos = tokenizer.addsBos;
    this.#start = startToken(tokenizer);
    this.#window = [this.#start];
  }

  /**
   * Adds a text.
   *
   * @param ids begin with the start token and end with EOS, as `encodeTexts` gives them
   * @yields the windows that it fills
   */
  *add(ids: readonly number[]): Generator<number[]> {
    const repeatsStart = !this.#addsBos || this.#window.at(-1) === this.#start;
    for (let index = repeatsStart ? 1 : 0; index < ids.length; index++) {
      this.#window.push(ids[index]!);
      if (this.#window.length < this.#length) continue;
      yield this.#window;
      this.#window = [this.#window.at(-1)!];
    }
  }

  /** The last window, if it has anything to learn. */
  *end(): Generator<number[]> {
    if (this.#window.length >= 2) yield this.#window;
  }
}
