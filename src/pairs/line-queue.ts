import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/**
 * Characters that may wait to be asked for: more than all scores of a batch take, and no burden for
 * the memory.
 */
const mostWaiting = 1 << 24;
/**
 * Characters that a line keeps. Nothing longer is an answer, and what is too long is only shown in
 * part.
 */
const longestLine = 1 << 20;

/**
 * The lines of a stream, to be asked for one after the other. Takes no more of the stream than
 * memory bears.
 */
export class LineQueue {
  readonly #stream: Readable;
  readonly #decoder = new StringDecoder("utf8");
  #lines: string[] = [];
  #rest = "";
  #waiting = 0;
  #dropping = false;
  #closed = false;
  #wake: () => void = () => {};

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on("data", (piece: Buffer) => this.#take(piece));
  }

  /** The first line that nobody has asked for yet, or the beginning of one. */
  peek(): string | undefined {
    return this.#lines[0] ?? (this.#rest || undefined);
  }

  /** The next line; undefined at the end; "late" if neither comes within so many seconds. */
  async next(seconds: number): Promise<{ text: string } | undefined | "late"> {
    if (this.#lines.length === 0 && !(await this.#until(() => this.#lines.length > 0, seconds))) return "late";
    const text = this.#lines.shift();
    if (text === undefined) return undefined;
    this.#waiting -= text.length;
    if (this.#waiting < mostWaiting) this.#stream.resume();
    return { text };
  }

  /** Resolves when `close` was called, or after so many seconds. */
  async closed(seconds = Number.POSITIVE_INFINITY): Promise<void> {
    await this.#until(() => this.#waiting >= mostWaiting && !this.#dropping, seconds);
  }

  /** Forgets all lines, those that are still to come as well. */
  drop(): void {
    this.#dropping = true;
    this.#lines = [];
    this.#rest = "";
    this.#waiting = 0;
    this.#stream.resume();
  }

  /** No more lines will come. */
  close(): void {
    const last = this.#rest + this.#decoder.end();
    if (last !== "" && !this.#dropping) this.#add(last);
    this.#rest = "";
    this.#closed = true;
    this.#wake();
  }

  #take(piece: Buffer): void {
    if (this.#dropping) return;
    const [first, ...others] = this.#decoder.write(piece).split("\n");
    this.#rest += first;
    for (const next of others) {
      this.#add(this.#rest);
      this.#rest = next;
    }
    // A line without end counts as a line that is too long for an answer.
    if (this.#rest.length > longestLine) {
      this.#add(this.#rest);
      this.#rest = "";
    }
    if (this.#waiting >= mostWaiting) this.#stream.pause();
    this.#wake();
  }

  #add(line: string): void {
    const text = line.replace(/\r$/, "").slice(0, longestLine + 1);
    this.#lines.push(text);
    this.#waiting += text.length + 1;
  }

  /** True if something comes true, or the queue is closed, within so many seconds. */
  async #until(isTrue: () => boolean, seconds: number): Promise<boolean> {
    if (this.#closed || isTrue()) return true;
    return new Promise((resolve) => {
      const done = (inTime: boolean) => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve(inTime);
      };
      const timer = Number.isFinite(seconds) ? setTimeout(done, seconds * 1000, false) : undefined;
      this.#wake = () => {
        if (this.#closed || isTrue()) done(true);
      };
    });
  }
}
