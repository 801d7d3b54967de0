import type { FloatArray } from "../engine/engine.ts";

/**
 * The processes that train one model together. Each has a copy of the model and takes its own share
 * of a step's examples; sums over all of them make their steps one.
 */
export interface Group {
  /** The number of this process, from 0 on. The examples of lower ranks come first in a step. */
  readonly rank: number;
  readonly size: number;
  /**
   * Replaces arrays by their sums over all ranks, in place and element by element. All ranks call
   * it equally often with arrays of the same lengths, and get the same bits.
   */
  sum(arrays: readonly FloatArray[]): Promise<void>;
}

/** A process by itself. */
export const alone: Group = { rank: 0, size: 1, async sum() {} };

/** The numbers of every rank, in the order of ranks; each may have another count of them. */
export async function gather({ rank, size, sum }: Group, own: Float64Array): Promise<Float64Array[]> {
  const counts = new Float64Array(size);
  counts[rank] = own.length;
  await sum([counts]);
  const all = Array.from(counts, (count) => new Float64Array(count));
  all[rank]!.set(own);
  await sum(all);
  return all;
}
