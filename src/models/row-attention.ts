import type { PackedBatch, PackedRow } from "../data/batch.ts";
import { type Engine, type Executable, type FloatValue, rows } from "../engine/engine.ts";
import { gradientName } from "../graph/section.ts";

type Values = Record<string, FloatValue>;

/** The rows that attention runs over: a batch, and the mask of each of its rows. */
export interface AttentionRows {
  readonly batch: PackedBatch;
  readonly masks: readonly FloatValue[];
}

/**
 * Attention row by row, on views of the flat arrays: no padding, no copies. Returns the context,
 * [tokens, heads * headWidth].
 */
export async function attend(
  engine: Engine,
  forward: Executable,
  { batch, masks }: AttentionRows,
  flat: Record<"query" | "key" | "value", FloatValue>,
): Promise<FloatValue> {
  const context = engine.allocate(flat.query.shape);
  for (const [index, row] of batch.rows.entries()) {
    await forward.run({ ...views(flat, row), mask: masks[index]! }, views({ context }, row));
  }
  return context;
}

/** The gradients of query, key and value, from these and the context's gradient. */
export async function attendBackward(
  engine: Engine,
  backward: Executable,
  { batch, masks }: AttentionRows,
  flat: Values,
): Promise<Values> {
  const gradients = Object.fromEntries(
    ["query", "key", "value"].map((name) => [gradientName(name), engine.allocate(flat[name]!.shape)]),
  );
  for (const [index, row] of batch.rows.entries()) {
    await backward.run({ ...views(flat, row), mask: masks[index]! }, views(gradients, row));
  }
  return gradients;
}

/** A row's part of flat arrays. */
function views(flat: Readonly<Values>, { start, length }: PackedRow): Values {
  return Object.fromEntries(Object.entries(flat).map(([name, value]) => [name, rows(value, start, start + length)]));
}
