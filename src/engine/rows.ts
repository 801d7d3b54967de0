import type { Value } from "../graph/tensor.ts";
import type { Engine, FloatValue } from "./engine.ts";

/**
 * Rows `indices` of a matrix [rows, width] of floats of any width, copied into new memory of the
 * engine: [indices.length, width].
 */
export function gatherRows(engine: Engine, source: Value, indices: ArrayLike<number>): FloatValue {
  const result = engine.allocate([indices.length, ...source.shape.slice(1)]);
  engine.copyRows(result, source, indices);
  return result;
}
