import { apply, formatShape, type Op, sameShape, type Tensor } from "../tensor.ts";
import { binary, constant, multiply, subtract, unary } from "./elementwise.ts";
import { expandLike } from "./reduce.ts";

type NoAttributes = Record<string, never>;

/** 1 where `a < b`, otherwise 0. No gradient flows through it. */
export const less = binary(
  "less",
  (writer, inputs) => writer.toFloat(writer.node("Less", inputs)),
  (a, b) => Number(a < b),
  () => undefined,
);

/** `max(x, 0)`. Its gradient at 0 is 0. */
export const relu: (x: Tensor) => Tensor = unary(
  "relu",
  "Relu",
  (x) => Math.max(x, 0),
  (x, _y, dy) => multiply(dy, less(constant(0), x)),
);

/** The larger of `a` and `b`. Where they are equal, each gets half of the gradient. */
export const maximum = binary("maximum", "Max", Math.max, (a, b, _y, dy) => [
  () => multiply(dy, shareOfLarger(a, b)),
  () => multiply(dy, shareOfLarger(b, a)),
]);

/** The smaller of `a` and `b`. Where they are equal, each gets half of the gradient. */
export const minimum = binary("minimum", "Min", Math.min, (a, b, _y, dy) => [
  () => multiply(dy, shareOfLarger(b, a)),
  () => multiply(dy, shareOfLarger(a, b)),
]);

/** 1 where `a` is the larger one, 1/2 where both are equal, 0 where `b` is larger. */
function shareOfLarger(a: Tensor, b: Tensor): Tensor {
  const half = constant(0.5);
  return multiply(subtract(less(b, a), subtract(less(a, b), constant(1))), half);
}

/**
 * `x` held between two numbers. The gradient is 0 outside of them and passes at the bounds
 * themselves.
 */
export function clamp(x: Tensor, lower: number, upper: number): Tensor {
  const low = where(less(x, constant(lower)), expandLike(constant(lower), x), x);
  return where(less(constant(upper), low), expandLike(constant(upper), low), low);
}

const whereOp: Op<NoAttributes> = {
  name: "where",
  evaluate: ([condition, a, b]) => ({
    shape: a!.shape,
    data: Float64Array.from(condition!.data, (chosen, index) => (chosen ? a! : b!).data[index]!),
  }),
  onnx: (writer, [condition, a, b]) => writer.node("Where", [writer.toBoolean(condition!), a!, b!]),
  gradient: ({ inputs: [condition, a], dy, wanted }) => {
    const zero = expandLike(constant(0), a!);
    return [
      undefined,
      wanted[1] ? where(condition!, dy, zero) : undefined,
      wanted[2] ? where(condition!, zero, dy) : undefined,
    ];
  },
};

/**
 * `a` where `condition` is not 0, and `b` elsewhere; all three of one shape. What is not taken gets
 * a gradient of 0, even where its own derivative is infinite.
 */
export function where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  if (!sameShape(condition.shape, a.shape) || !sameShape(a.shape, b.shape))
    throw new Error(`where: ${[condition, a, b].map(({ shape }) => formatShape(shape)).join(", ")} differ in shape`);
  return apply(whereOp, [condition, a, b], a.shape, {});
}
