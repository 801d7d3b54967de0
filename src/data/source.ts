import type { TokenizedExample } from "./example.ts";
import { type DataPosition, examplesFrom } from "./order.ts";

/**
 * The source of a training loop's examples: data in a shuffled order, or examples that are made on
 * the way.
 */
export interface ExampleSource {
  /** Examples of one epoch. */
  readonly epochLength: number;
  /**
   * The next examples.
   *
   * @returns as many as asked for, and the position behind them, which a checkpoint records
   */
  next(count: number): Promise<{ examples: TokenizedExample[]; position: DataPosition }>;
}

/**
 * Endless examples from `start` on: each epoch visits all of them once, in an order of its own that
 * `seed` fixes.
 */
export function shuffledExamples(
  examples: readonly TokenizedExample[],
  seed: number,
  start: DataPosition,
): ExampleSource {
  const stream = examplesFrom(examples.length, seed, start);
  let position = start;
  return {
    epochLength: examples.length,
    async next(count) {
      const taken: TokenizedExample[] = [];
      while (taken.length < count) {
        const { example, next } = stream.next().value;
        taken.push(examples[example]!);
        position = next;
      }
      return { examples: taken, position };
    },
  };
}
