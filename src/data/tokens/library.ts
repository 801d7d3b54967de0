import type { AddedToken, JsonObject } from "./definition.ts";

/**
 * A library that does what a tokenizer.json says: Hugging Face's own in Node, another one in
 * browsers.
 */
export interface TokenizerLibrary {
  /** With its version, and with all else that its ids depend on. */
  readonly name: string;
  /**
   * Builds the tokenizer of a definition, without its post-processor and decoder.
   *
   * @throws InvalidTokenizer for a definition that is broken, or a part of it that the library does
   * not do right.
   */
  build(definition: JsonObject): Promise<Encoder>;
}

/** Texts to ids; nothing is put in front or at the end. */
export interface Encoder {
  /** The id under which the library knows a token. */
  idsOf(tokens: readonly AddedToken[]): Promise<(number | undefined)[]>;
  /**
   * @throws InvalidTokenizer where the texts take unreasonably long, or the library fails at them.
   */
  encode(texts: readonly string[]): Promise<Int32Array[]>;
}
