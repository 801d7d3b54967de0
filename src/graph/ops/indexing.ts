import { apply, formatShape, type Op, sameShape, type Tensor } from "../tensor.ts";
import { reshape } from "./shape.ts";

type NoAttributes = Record<string, never>;

/** The labels as a column, as ONNX's element-wise gather and scatter want them. */
function column(labels: Tensor): Tensor {
  return reshape(labels, [...labels.shape, 1]);
}

const pickOp: Op<NoAttributes> = {
  name: "pick",
  evaluate: ([x, labels]) => {
    const width = x!.shape.at(-1)!;
    const data = Float64Array.from(labels!.data, (label, row) => x!.data[row * width + label]!);
    return { shape: labels!.shape, data };
  },
  onnx: (writer, [x, labels]) => writer.node("GatherElements", [x!, labels!], { axis: -1 }),
  gradient: ({ inputs: [x, labels], dy }) => [place(dy, labels!, x!), undefined],
};

/** From each row of `x` [rows, width] the element that `labels` [rows] names: [rows]. */
export function pick(x: Tensor, labels: Tensor): Tensor {
  if (x.shape.length !== 2 || !sameShape(x.shape.slice(0, 1), labels.shape)) {
    throw new Error(`pick: ${formatShape(labels.shape)} labels for ${formatShape(x.shape)}`);
  }
  return reshape(apply(pickOp, [x, column(labels)], [x.shape[0]!, 1], {}), labels.shape);
}

const placeOp: Op<NoAttributes> = {
  name: "place",
  evaluate: ([values, labels, like]) =>
    addAtLabels(new Float64Array(like!.data.length), values!.data, labels!.data, like!.shape),
  onnx: (writer, [values, labels, like]) => {
    const zeros = writer.node("ConstantOfShape", [writer.node("Shape", [like!])]);
    return writer.node("ScatterElements", [zeros, labels!, values!], { axis: -1 });
  },
  gradient: ({ inputs: [, labels], dy }) => [pickColumn(dy, labels!), undefined, undefined],
};

const addPlacedOp: Op<NoAttributes> = {
  name: "addPlaced",
  evaluate: ([x, values, labels]) => addAtLabels(Float64Array.from(x!.data), values!.data, labels!.data, x!.shape),
  // One label a row, so no index repeats.
  onnx: (writer, [x, values, labels]) =>
    writer.node("ScatterElements", [x!, labels!, values!], { axis: -1, reduction: "add" }),
  gradient: ({ inputs: [, , labels], dy }) => [dy, pickColumn(dy, labels!), undefined],
};

function addAtLabels(
  data: Float64Array,
  values: ArrayLike<number>,
  labels: ArrayLike<number>,
  shape: readonly number[],
) {
  for (let row = 0; row < labels.length; row++) data[row * shape.at(-1)! + labels[row]!]! += values[row]!;
  return { shape, data };
}

function pickColumn(x: Tensor, labels: Tensor): Tensor {
  return apply(pickOp, [x, labels], labels.shape, {});
}

/** Zeros of the shape of `like` [rows, width] with `values` [rows, 1] at `labels` [rows, 1]. */
function place(values: Tensor, labels: Tensor, like: Tensor): Tensor {
  return apply(placeOp, [values, labels, like], like.shape, {});
}

/**
 * True if the tensor is zero but for one element a row, so that `addPlaced` can add it without
 * spreading it out.
 */
export function isPlaced(tensor: Tensor): boolean {
  return (tensor.op as unknown) === placeOp;
}

/** The element of each row of a tensor that `isPlaced`, [rows, 1]: also the row's sum. */
export function placedValues(placed: Tensor): Tensor {
  return placed.inputs[0]!;
}

/** `x + placed`, for a tensor that `isPlaced`. */
export function addPlaced(x: Tensor, placed: Tensor): Tensor {
  const [values, labels] = placed.inputs;
  return apply(addPlacedOp, [x, values!, labels!], x.shape, {});
}
