/** Between numbers for the entries of a chunk, and vectors of the responses' tokens. */
import type { PackedBatch } from "../data/batch.ts";
import type { StatisticName } from "../objectives/statistics.ts";
import { type Chunk, eachEntry } from "./chunks.ts";
import type { ExampleOutcome, ResponseVectors } from "./objective-evaluator.ts";

/** A number for each entry of a chunk, by the statistics' names. */
export type EntryVectors = Readonly<Record<string, Float64Array>>;

/** Statistics of a chunk's entries as vectors of its rows' responses. */
export function byResponse(batch: PackedBatch, chunk: Chunk, statistics: EntryVectors): ResponseVectors[][] {
  const names = Object.keys(statistics);
  const vectors = batch.rows
    .slice(chunk.firstRow, chunk.endRow)
    .map(({ responseLengths }) =>
      responseLengths.map(
        (length): ResponseVectors => Object.fromEntries(names.map((name) => [name, new Float64Array(length)])),
      ),
    );
  eachEntry(batch, chunk, vectors, (vector, index, name, offset) => {
    vector[index] = statistics[name]![offset]!;
  });
  return vectors;
}

/**
 * The gradient of the scaled losses for each statistic of a chunk's entries.
 *
 * @param outcomes those of the chunk's rows
 */
export function cotangentsOf(
  names: readonly StatisticName[],
  batch: PackedBatch,
  chunk: Chunk,
  outcomes: readonly ExampleOutcome[],
  scale: number,
): EntryVectors {
  const count = chunk.end - chunk.start;
  const cotangents = Object.fromEntries(names.map((name) => [name, new Float64Array(count)]));
  const gradients = outcomes.map((outcome) => outcome.gradients);
  eachEntry(batch, chunk, gradients, (vector, index, name, offset) => {
    cotangents[name]![offset] = scale * vector[index]!;
  });
  return cotangents;
}
