import { broadcastShapes, broadcastStrides, walk } from "../broadcast.ts";
import type { OnnxWriter } from "../onnx.ts";
import { apply, elementCount, type Op, type Shape, sameShape, type Tensor, type Value } from "../tensor.ts";
import { addPlaced, isPlaced } from "./indexing.ts";
import { sum } from "./reduce.ts";
import { reshape } from "./shape.ts";

type NoAttributes = Record<string, never>;

/** An op on one float tensor, element by element. */
export function unary(
  name: string,
  onnx: string,
  evaluate: (x: number) => number,
  gradient: (x: Tensor, y: Tensor, dy: Tensor) => Tensor,
): (x: Tensor) => Tensor {
  const op: Op<NoAttributes> = {
    name,
    evaluate: ([x]) => ({ shape: x!.shape, data: Float64Array.from(x!.data, evaluate) }),
    onnx: (writer, inputs) => writer.node(onnx, inputs),
    gradient: ({ inputs, y, dy }) => [gradient(inputs[0]!, y, dy)],
  };
  return (x) => apply(op, [x], x.shape, {});
}

/**
 * An op on two float tensors, element by element, with broadcasting.
 *
 * @param onnx the name of ONNX's op, or a function that writes nodes
 * @param gradient undefined where none flows
 */
export function binary(
  name: string,
  onnx: string | ((writer: OnnxWriter, inputs: readonly string[]) => string),
  evaluate: (a: number, b: number) => number,
  gradient: (a: Tensor, b: Tensor, y: Tensor, dy: Tensor) => [() => Tensor, () => Tensor] | undefined,
): (a: Tensor, b: Tensor) => Tensor {
  const op: Op<NoAttributes> = {
    name,
    evaluate: ([a, b]) => evaluateBinary(a!, b!, evaluate),
    onnx: (writer, inputs) => (typeof onnx === "string" ? writer.node(onnx, inputs) : onnx(writer, inputs)),
    gradient: ({ inputs: [a, b], y, dy, wanted }) => {
      const rules = gradient(a!, b!, y, dy);
      return [a!, b!].map((tensor, index) =>
        rules && wanted[index] ? unbroadcast(rules[index]!(), tensor.shape) : undefined,
      );
    },
  };
  return (a, b) => apply(op, [a, b], broadcastShapes(a.shape, b.shape), {});
}

/** The interpreter's elementwise loop with broadcasting. */
export function evaluateBinary(a: Value, b: Value, evaluate: (a: number, b: number) => number): Value {
  const shape = broadcastShapes(a.shape, b.shape) as number[];
  const data = new Float64Array(elementCount(shape));
  walk(shape, [broadcastStrides(a.shape, shape), broadcastStrides(b.shape, shape)], (output, i, j) => {
    data[output] = evaluate(a.data[i]!, b.data[j]!);
  });
  return { shape, data };
}

/**
 * Sums a gradient over the axes along which its tensor was broadcast, back to that tensor's shape.
 */
export function unbroadcast(gradient: Tensor, shape: Shape): Tensor {
  if (sameShape(gradient.shape, shape)) return gradient;
  const added = gradient.shape.length - shape.length;
  const axes = gradient.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < added || (shape[axis - added] === 1 && gradient.shape[axis] !== 1));
  const reduced = axes.length > 0 ? sum(gradient, axes, { keepDimensions: true }) : gradient;
  return sameShape(reduced.shape, shape) ? reduced : reshape(reduced, shape);
}

const addition = binary(
  "add",
  "Add",
  (a, b) => a + b,
  (_a, _b, _y, dy) => [() => dy, () => dy],
);

/** `a + b`. Sparse gradients (see `pick`) are added in place instead of being spread out first. */
export function add(a: Tensor, b: Tensor): Tensor {
  if (isPlaced(b) && sameShape(a.shape, b.shape)) return addPlaced(a, b);
  if (isPlaced(a) && sameShape(a.shape, b.shape)) return addPlaced(b, a);
  return addition(a, b);
}

/** `a - b`. */
export const subtract = binary(
  "subtract",
  "Sub",
  (a, b) => a - b,
  (_a, _b, _y, dy) => [() => dy, () => negate(dy)],
);

/** `a * b`. */
export const multiply = binary(
  "multiply",
  "Mul",
  (a, b) => a * b,
  (a, b, _y, dy) => [() => multiply(dy, b), () => multiply(dy, a)],
);

/** `a / b`. */
export const divide = binary(
  "divide",
  "Div",
  (a, b) => a / b,
  (_a, b, y, dy) => [() => divide(dy, b), () => negate(divide(multiply(dy, y), b))],
);

/** `-x`. */
export const negate: (x: Tensor) => Tensor = unary(
  "negate",
  "Neg",
  (x) => -x,
  (_x, _y, dy) => negate(dy),
);

/** `e^x`. */
export const exp = unary(
  "exp",
  "Exp",
  (x) => Math.exp(x),
  (_x, y, dy) => multiply(dy, y),
);

/** The natural logarithm. */
export const log = unary(
  "log",
  "Log",
  (x) => Math.log(x),
  (x, _y, dy) => divide(dy, x),
);

/** The square root. */
export const sqrt = unary(
  "sqrt",
  "Sqrt",
  (x) => Math.sqrt(x),
  (_x, y, dy) => divide(multiply(dy, constant(0.5)), y),
);

/** The logistic function `1 / (1 + e^-x)`, without overflow. */
export const sigmoid = unary(
  "sigmoid",
  "Sigmoid",
  (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))),
  (_x, y, dy) => multiply(dy, multiply(y, subtract(constant(1), y))),
);

/** The hyperbolic tangent. */
export const tanh = unary(
  "tanh",
  "Tanh",
  (x) => Math.tanh(x),
  (_x, y, dy) => multiply(dy, subtract(constant(1), square(y))),
);

/** `log(1 + e^x)`, without overflow; `-log sigmoid(x)` is `softplus(-x)`. */
export const softplus = unary(
  "softplus",
  "Softplus",
  (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  (x, _y, dy) => multiply(dy, sigmoid(x)),
);

const constantOp: Op<{ value: number }> = {
  name: "constant",
  evaluate: (_inputs, { value }) => ({ shape: [], data: Float64Array.of(value) }),
  onnx: (writer, _inputs, { value }) => writer.scalar(value),
  gradient: () => [],
};

/** A number as a scalar tensor. */
export function constant(value: number): Tensor {
  return apply(constantOp, [], [], { value });
}

/** `cap · tanh(x / cap)`: x where it is small, and never beyond ±cap. */
export function softCap(x: Tensor, cap: number): Tensor {
  return scale(tanh(scale(x, 1 / cap)), cap);
}

/** `x²`. */
export function square(x: Tensor): Tensor {
  return multiply(x, x);
}

/** `factor * x` for a plain number. */
export function scale(x: Tensor, factor: number): Tensor {
  return factor === 1 ? x : multiply(x, constant(factor));
}

const stopGradientOp: Op<NoAttributes> = {
  name: "stopGradient",
  evaluate: ([x]) => x!,
  onnx: (_writer, [x]) => x!,
  gradient: () => [undefined],
};

/** The same values, taken as constants by the gradient: `sg` in the papers. */
export function stopGradient(x: Tensor): Tensor {
  return apply(stopGradientOp, [x], x.shape, {});
}
