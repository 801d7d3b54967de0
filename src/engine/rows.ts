import { widened } from "../graph/ops/storage.ts";
import { elementCount, type Value } from "../graph/tensor.ts";
import type { Engine, FloatValue } from "./engine.ts";

/**
 * Rows `indices` of a matrix [rows, width] of floats of any width, copied into new memory of the
 * engine: [indices.length, width].
 */
export function gatherRows(engine: Engine, source: Value, indices: ArrayLike<number>): FloatValue {
  const width = elementCount(source.shape.slice(1));
  const result = engine.allocate([indices.length, ...source.shape.slice(1)]);
  for (let row = 0; row < indices.length; row++) {
    const start = indices[row]! * width;
    const data = source.data.subarray(start, start + width);
    result.data.set(source.format ? widened({ shape: [width], data, format: source.format }) : data, row * width);
  }
  return result;
}

/**
 * Adds row `i` of `source` to row `indices[i]` of `target`. Repeated indices add up in order, which
 * is why this is plain code: ONNX Runtime's scatter loses updates when indices repeat and threads
 * share the work.
 */
export function addRows(target: FloatValue, source: FloatValue, indices: ArrayLike<number>): void {
  const width = elementCount(source.shape.slice(1));
  for (let row = 0; row < indices.length; row++) {
    const to = indices[row]! * width;
    const from = row * width;
    for (let column = 0; column < width; column++) target.data[to + column]! += source.data[from + column]!;
  }
}

/** Zeroed memory of the engine. */
export function zeros(engine: Engine, shape: readonly number[]): FloatValue {
  const value = engine.allocate(shape);
  value.data.fill(0);
  return value;
}
