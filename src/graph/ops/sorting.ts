import { apply, axisOf, formatShape, type Op, sameShape, type Tensor, type Value } from "../tensor.ts";

type NoAttributes = Record<string, never>;

const orderOp: Op<NoAttributes> = {
  name: "order",
  evaluate: ([x]) => {
    const data = new Float64Array(x!.data.length);
    eachRow(x!, (start, width) => {
      const row = x!.data.subarray(start, start + width);
      const order = Array.from(row, (_, index) => index);
      data.set(
        order.sort((a, b) => row[a]! - row[b]! || a - b),
        start,
      );
    });
    return { shape: x!.shape, data };
  },
  onnx: (writer, [x]) => writer.toFloat(writer.order(x!)),
  gradient: () => [undefined],
};

const permuteOp: Op<NoAttributes> = {
  name: "permute",
  evaluate: ([x, indices]) => {
    const data = new Float64Array(x!.data.length);
    eachRow(x!, (start, width) => {
      for (let index = start; index < start + width; index++) data[index] = x!.data[start + indices!.data[index]!]!;
    });
    return { shape: x!.shape, data };
  },
  onnx: (writer, [x, indices]) => writer.node("GatherElements", [x!, writer.toInteger(indices!)], { axis: -1 }),
  // The order of a permutation is its inverse.
  gradient: ({ inputs: [, indices], dy }) => [permute(dy, order(indices!)), undefined],
};

/** Calls `visit` with the start of each row of the last axis, and its length. */
function eachRow({ shape, data }: Value, visit: (start: number, width: number) => void): void {
  const width = shape[axisOf(shape, -1)]!;
  for (let start = 0; start < data.length; start += width) visit(start, width);
}

/**
 * The indices that put each row (the last axis) into ascending order; equal elements stay in their
 * order. No gradient.
 */
export function order(x: Tensor): Tensor {
  return apply(orderOp, [x], x.shape, {});
}

/** The place of each element in its row's ascending order, from 0. No gradient. */
export function rank(x: Tensor): Tensor {
  return order(order(x));
}

/**
 * The element with index `indices[i]` of its row at place i. Each row of `indices` holds every
 * index once.
 */
export function permute(x: Tensor, indices: Tensor): Tensor {
  if (!sameShape(x.shape, indices.shape))
    throw new Error(`permute: ${formatShape(indices.shape)} indices for ${formatShape(x.shape)}`);
  return apply(permuteOp, [x, indices], x.shape, {});
}

/** Each row in ascending order. The gradient goes to the element that came to each place. */
export function sort(x: Tensor): Tensor {
  return permute(x, order(x));
}
