import { apply, type Op, type Tensor, type Value } from "../tensor.ts";
import { add, exp, multiply, negate, subtract } from "./elementwise.ts";
import { sum } from "./reduce.ts";

type NoAttributes = Record<string, never>;

const softmaxOp: Op<NoAttributes> = {
  name: "softmax",
  evaluate: ([x]) => {
    const { shape, data } = logSoftmaxValue(x!);
    return { shape, data: data.map(Math.exp) };
  },
  onnx: (writer, inputs) => writer.node("Softmax", inputs, { axis: -1 }),
  gradient: ({ y, dy }) => {
    const weighted = multiply(y, dy);
    return [subtract(weighted, multiply(y, sum(weighted, [-1], { keepDimensions: true })))];
  },
};

const logSoftmaxOp: Op<NoAttributes> = {
  name: "logSoftmax",
  evaluate: ([x]) => logSoftmaxValue(x!),
  onnx: (writer, inputs) => writer.node("LogSoftmax", inputs, { axis: -1 }),
  gradient: ({ y, dy }) => [add(multiply(exp(y), negate(sum(dy, [-1], { keepDimensions: true }))), dy)],
};

function logSoftmaxValue(x: Value): { shape: readonly number[]; data: Float64Array } {
  const width = x.shape.at(-1)!;
  const data = Float64Array.from(x.data);
  for (let start = 0; start < data.length; start += width) {
    const row = data.subarray(start, start + width);
    const largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const logSum = largest + Math.log(row.reduce((total, value) => total + Math.exp(value - largest), 0));
    for (let column = 0; column < width; column++) row[column]! -= logSum;
  }
  return { shape: x.shape, data };
}

/** Probabilities over the last axis. */
export function softmax(x: Tensor): Tensor {
  return apply(softmaxOp, [x], x.shape, {});
}

/**
 * Log-probabilities over the last axis; finite for any finite logits, where `log(softmax(x))` is
 * not.
 */
export function logSoftmax(x: Tensor): Tensor {
  return apply(logSoftmaxOp, [x], x.shape, {});
}
