/**
 * Between the programs' arrays, one number for each scored entry, and vectors of the responses'
 * tokens.
 */
import type { PackedBatch } from "../data/batch.ts";
import { type Engine, type FloatArray, type FloatValue, upload } from "../engine/engine.ts";
import type { StatisticName } from "../objectives/statistics.ts";
import { type EntryRange, eachEntry } from "./chunks.ts";
import type { ExampleOutcome, ResponseVectors } from "./objective-evaluator.ts";

/** Vectors of zeros for the responses of some rows of a batch. */
export function emptyVectors(
  { rows: packed }: PackedBatch,
  firstRow: number,
  endRow: number,
  names: readonly StatisticName[],
): ResponseVectors[][] {
  return packed
    .slice(firstRow, endRow)
    .map(({ responseLengths }) =>
      responseLengths.map((length) => Object.fromEntries(names.map((name) => [name, new Float64Array(length)]))),
    );
}

/** Puts what a program computed for a range of entries into the vectors of its rows' responses. */
export async function readStatistics(
  engine: Engine,
  batch: PackedBatch,
  range: EntryRange,
  firstRow: number,
  vectors: readonly (readonly ResponseVectors[])[],
  values: Readonly<Record<string, FloatValue>>,
): Promise<void> {
  const numbers: Record<string, FloatArray> = {};
  for (const [name, value] of Object.entries(values)) numbers[name] = await engine.read(value);
  eachEntry(batch, range, firstRow, vectors, (vector, index, name, offset) => {
    vector[index] = numbers[name]![offset]!;
  });
}

/**
 * The gradient of the scaled losses for each statistic of a range of entries, [rows]. The caller
 * releases them.
 *
 * @param outcomes those of the rows from `firstRow` on
 */
export function cotangentsOf(
  engine: Engine,
  names: readonly StatisticName[],
  batch: PackedBatch,
  range: EntryRange,
  firstRow: number,
  outcomes: readonly ExampleOutcome[],
  scale: number,
): Record<string, FloatValue> {
  const count = range.end - range.start;
  const numbers = Object.fromEntries(names.map((name) => [name, new Float64Array(count)]));
  const gradients = outcomes.map((outcome) => outcome.gradients);
  eachEntry(batch, range, firstRow, gradients, (vector, index, name, offset) => {
    numbers[name]![offset] = scale * vector[index]!;
  });
  return Object.fromEntries(names.map((name) => [name, upload(engine, [count], numbers[name]!)]));
}
