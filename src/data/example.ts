import type { RecordPlace } from "./files/read.ts";

/**
 * Token ids of a prompt and of the responses to it. Every response has at least one token, and so
 * has the prompt.
 */
export interface TokenizedExample {
  readonly prompt: Int32Array; // [prompt length]
  /** `[chosen, rejected]` of a pair; otherwise the one text to learn. */
  readonly responses: readonly Int32Array[];
  /**
   * Constants that an objective takes, by name: for each response one number a token, or
   * `[one number]` for the whole example. `weight` holds the importance weights of tokens.
   */
  readonly given?: Readonly<Record<string, readonly Float64Array[]>>;
  /** Tokens cut off the prompt and off each response. */
  readonly cut: { readonly prompt: number; readonly responses: readonly number[] };
  /** The record it came from; undefined for a packed window, which may hold several. */
  readonly place: RecordPlace | undefined;
}

/** Tokens of the longest prompt with one of its responses: what a model's context must hold. */
export function longestSequence(examples: readonly TokenizedExample[]): number {
  return examples.reduce(
    (longest, { prompt, responses }) =>
      responses.reduce((most, response) => Math.max(most, prompt.length + response.length), longest),
    0,
  );
}
