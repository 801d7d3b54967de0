import type { PackedBatch, ScoredEntry } from "../data/batch.ts";
import type { ResponseVectors } from "./objective-evaluator.ts";

/** Scored entries of a batch, from `start` on and without that at `end`. */
export interface EntryRange {
  readonly start: number;
  readonly end: number;
}

/** Whole rows of a batch, from `firstRow` on and without that at `endRow`, and their entries. */
export interface Chunk extends EntryRange {
  readonly firstRow: number;
  readonly endRow: number;
}

/**
 * Visits, for each entry of a chunk and each statistic it has, the element of its response's vector
 * and its offset in the chunk.
 *
 * @param vectors of the responses of the chunk's rows
 */
export function eachEntry(
  batch: PackedBatch,
  { firstRow, start, end }: Chunk,
  vectors: readonly (readonly ResponseVectors[])[],
  visit: (vector: Float64Array, index: number, name: string, offset: number) => void,
): void {
  for (let position = start; position < end; position++) {
    const { row, response, index } = batch.entries[position] as ScoredEntry;
    const statistics = vectors[row - firstRow]![response]!;
    for (const name of Object.keys(statistics)) visit(statistics[name]!, index, name, position - start);
  }
}

/** Groups of whole rows with at most `limit` entries; a larger row is a group of its own. */
export function* chunks({ rows: packed }: PackedBatch, limit: number): Generator<Chunk> {
  const entriesOf = (row: number) => packed[row]!.responseLengths.reduce((sum, length) => sum + length, 0);
  let firstRow = 0;
  let start = 0;
  while (firstRow < packed.length) {
    let endRow = firstRow;
    let end = start;
    do end += entriesOf(endRow++);
    while (endRow < packed.length && end - start + entriesOf(endRow) <= limit);
    yield { firstRow, endRow, start, end };
    firstRow = endRow;
    start = end;
  }
}
