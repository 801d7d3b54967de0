import { broadcastShapes, broadcastStrides, walk } from "../broadcast.ts";
import { apply, axisOf, elementCount, formatShape, type Op, type Shape, sameShape, type Tensor } from "../tensor.ts";
import { scale, unbroadcast } from "./elementwise.ts";
import { isPlaced, placedValues } from "./indexing.ts";
import { reshape } from "./shape.ts";

const sumOp: Op<{ axes: readonly number[] }> = {
  name: "sum",
  evaluate: ([x], { axes }) => {
    const shape = x!.shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
    const data = new Float64Array(elementCount(shape));
    const strides = broadcastStrides(shape, x!.shape);
    walk(x!.shape, [strides, strides], (index, output) => {
      data[output]! += x!.data[index]!;
    });
    return { shape, data };
  },
  onnx: (writer, [x], { axes }) =>
    // Without that flag ONNX takes no axes for all axes.
    writer.node("ReduceSum", [x!, writer.integers(axes)], { keepdims: 1, noop_with_empty_axes: 1 }),
  gradient: ({ inputs: [x], dy }) => [expandLike(dy, x!)],
};

/**
 * The sum over `axes`, which stay as length 1 or (by default) disappear. Sparse gradients (see
 * `pick`) are not spread out for it.
 */
export function sum(x: Tensor, axes: readonly number[], { keepDimensions = false } = {}): Tensor {
  const reduced = axes.map((axis) => axisOf(x.shape, axis));
  const kept: Shape = x.shape.map((dimension, axis) => (reduced.includes(axis) ? 1 : dimension));
  const ofRows = isPlaced(x) && sameShape(reduced, [1]);
  const result = ofRows ? placedValues(x) : apply(sumOp, [x], kept, { axes: reduced });
  if (keepDimensions) return result;
  return reshape(
    result,
    kept.filter((_, axis) => !reduced.includes(axis)),
  );
}

/** The mean over the last axis, whose length must be known, kept as length 1. */
export function mean(x: Tensor): Tensor {
  const length = x.shape.at(-1);
  if (typeof length !== "number") throw new Error("mean needs a last axis of known length");
  return scale(sum(x, [-1], { keepDimensions: true }), 1 / length);
}

const expandLikeOp: Op<Record<string, never>> = {
  name: "expandLike",
  evaluate: ([x, like]) => {
    const shape = like!.shape;
    const data = new Float64Array(elementCount(shape));
    const strides = broadcastStrides(x!.shape, shape);
    walk(shape, [strides, strides], (output, index) => {
      data[output] = x!.data[index]!;
    });
    return { shape, data };
  },
  onnx: (writer, [x, like]) => writer.node("Expand", [x!, writer.node("Shape", [like!])]),
  gradient: ({ inputs: [x], dy }) => [unbroadcast(dy, x!.shape), undefined],
};

/** `x` broadcast to the shape of `like`, whose values are not read. */
export function expandLike(x: Tensor, like: Tensor): Tensor {
  if (!sameShape(broadcastShapes(x.shape, like.shape), like.shape))
    throw new Error(`expandLike ${formatShape(x.shape)} to ${formatShape(like.shape)}`);
  return apply(expandLikeOp, [x, like], like.shape, {});
}
