import { isEmptyPrompt } from "../data/tokens/boundaries.ts";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";

/**
 * Turns the tokens of an answer into text as they come: into what the whole text has behind its
 * prompt. A token's text can depend on the one before it (a space, half a character), so the last
 * piece is decoded again with each new one; a piece that ends in the middle of a character waits
 * for the rest.
 */
export class TextStream {
  readonly #tokenizer: Tokenizer;
  readonly #tokens: number[];
  /** Tokens before this one are of no more use. */
  #start = 0;
  /** Tokens before this one are text already. */
  #done: number;

  /** @param prompt what the answer stands behind; an answer to an empty prompt begins the text */
  constructor(tokenizer: Tokenizer, prompt: ArrayLike<number>) {
    this.#tokenizer = tokenizer;
    this.#tokens = isEmptyPrompt(tokenizer, prompt) ? [] : Array.from(prompt);
    this.#done = this.#tokens.length;
  }

  /** The text that a token completes, maybe none. */
  push(token: number): string {
    this.#tokens.push(token);
    const text = this.#waiting();
    if (text === "" || text.endsWith("\uFFFD")) return "";
    return this.#take(text);
  }

  /** The text that still waits, at the end of the tokens. */
  end(): string {
    return this.#take(this.#waiting());
  }

  #waiting(): string {
    const known = this.#tokenizer.decode(this.#tokens.slice(this.#start, this.#done));
    return this.#tokenizer.decode(this.#tokens.slice(this.#start)).slice(known.length);
  }

  #take(text: string): string {
    if (this.#done < this.#tokens.length) this.#start = this.#done;
    this.#done = this.#tokens.length;
    return text;
  }
}

/**
 * The text of each token of an answer; a character that several tokens make is whole in the last of
 * them, and the others have no text.
 */
export function tokenPieces(tokenizer: Tokenizer, tokens: readonly number[], prompt: ArrayLike<number> = []): string[] {
  const stream = new TextStream(tokenizer, prompt);
  const pieces = tokens.map((token) => stream.push(token));
  const rest = stream.end();
  return pieces.map((piece, index) => (index === pieces.length - 1 ? piece + rest : piece));
}
