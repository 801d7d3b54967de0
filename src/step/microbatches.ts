import { exampleLength } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";

/**
 * The limits on what is computed together: at most so many tokens and examples; an example with
 * more tokens goes alone.
 */
export interface MicrobatchLimits {
  readonly tokens: number;
  readonly examples?: number | undefined;
}

/** The tokens of a microbatch where nobody says otherwise: what a processor's caches like. */
export const defaultMicrobatch: MicrobatchLimits = { tokens: 1280 };

/**
 * Consecutive examples in groups within the limits; an example that is too long is a group of its
 * own.
 */
export function microbatches(examples: readonly TokenizedExample[], limits: MicrobatchLimits): TokenizedExample[][] {
  const groups: TokenizedExample[][] = [];
  let tokens = 0;
  for (const example of examples) {
    const length = exampleLength(example);
    const last = groups.at(-1);
    if (!last || tokens + length > limits.tokens || last.length === limits.examples) {
      groups.push([]);
      tokens = 0;
    }
    groups.at(-1)!.push(example);
    tokens += length;
  }
  return groups;
}
