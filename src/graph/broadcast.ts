import { formatShape, type Shape } from "./tensor.ts";

/**
 * The shape of an elementwise result under NumPy's broadcasting. Symbolic lengths broadcast only
 * against 1 and themselves.
 *
 * @throws Error when the shapes do not fit.
 */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw new Error(`shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast`);
  });
}

/** Element strides of a row-major array seen as `target`: 0 along broadcast axes. */
export function broadcastStrides(shape: readonly number[], target: readonly number[]): number[] {
  const strides = new Array<number>(target.length).fill(0);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis]! > 1) strides[axis + target.length - shape.length] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/**
 * Calls `visit(outputIndex, aIndex, bIndex)` for every element of `shape`, walking two strided
 * arrays alongside.
 */
export function walk(
  shape: readonly number[],
  strides: readonly [readonly number[], readonly number[]],
  visit: (output: number, a: number, b: number) => void,
): void {
  const [first, second] = strides;
  const counter = new Array<number>(shape.length).fill(0);
  const total = shape.reduce((product, length) => product * length, 1);
  let a = 0;
  let b = 0;
  for (let output = 0; output < total; output++) {
    visit(output, a, b);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      a += first[axis]!;
      b += second[axis]!;
      if (++counter[axis]! < shape[axis]!) break;
      a -= first[axis]! * shape[axis]!;
      b -= second[axis]! * shape[axis]!;
      counter[axis] = 0;
    }
  }
}
