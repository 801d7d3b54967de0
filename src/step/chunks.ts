import type { PackedBatch, ScoredEntry } from "../data/batch.ts";
import type { ResponseVectors } from "./objective-evaluator.ts";

/** Scored entries of a batch, from `start` on and without that at `end`. */
export interface EntryRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Visits, for each entry of a range and each statistic it has, the element of its response's vector
 * and its offset in the range.
 */
export function eachEntry(
  batch: PackedBatch,
  { start, end }: EntryRange,
  firstRow: number,
  vectors: readonly (readonly ResponseVectors[])[],
  visit: (vector: Float64Array, index: number, name: string, offset: number) => void,
): void {
  for (let position = start; position < end; position++) {
    const { row, response, index } = batch.entries[position] as ScoredEntry;
    const statistics = vectors[row - firstRow]![response]!;
    for (const name of Object.keys(statistics)) visit(statistics[name]!, index, name, position - start);
  }
}

/**
 * Groups of whole rows with at most `limit` entries; a larger row is a group of its own, in several
 * parts.
 */
export function* chunks({ rows: packed }: PackedBatch, limit: number) {
  let firstRow = 0;
  let start = 0;
  while (firstRow < packed.length) {
    let endRow = firstRow;
    let end = start;
    do end += packed[endRow++]!.responseLengths.reduce((sum, length) => sum + length, 0);
    while (endRow < packed.length && end - start + packed[endRow]!.responseLengths.reduce((a, b) => a + b, 0) <= limit);
    const parts: [number, number][] = [];
    for (let part = start; part < end; part += limit) parts.push([part, Math.min(part + limit, end)]);
    yield { firstRow, endRow, parts };
    firstRow = endRow;
    start = end;
  }
}
