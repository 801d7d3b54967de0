import { clamp, less, maximum, minimum, relu, where } from "../ops/comparison.ts";
import { constant, exp, multiply, square, subtract } from "../ops/elementwise.ts";
import type { Tensor } from "../tensor.ts";
import { lengths, type OpCase } from "./op-case.ts";

/**
 * Comparisons against numbers that the cases' values do not come near, so that differences cross no
 * kink.
 */
const cases: Record<string, (x: Tensor, y: Tensor) => Tensor> = {
  less: (x, y) => multiply(less(x, y), square(x)),
  "less than a number": (x) => multiply(less(x, constant(0.2)), x),
  relu: (x, y) => multiply(relu(x), y),
  maximum: (x, y) => square(maximum(x, y)),
  "maximum with a number": (x) => square(maximum(constant(0.1), x)),
  minimum: (x, y) => square(minimum(x, y)),
  "minimum with a number": (x, y) => multiply(minimum(x, constant(0.1)), y),
  clamp: (x, y) => multiply(clamp(x, -0.5, 0.7), y),
  where: (x, y) => where(less(x, y), square(x), exp(y)),
  "where of one tensor twice": (x, y) => where(less(constant(0), subtract(x, y)), x, square(x)),
};

export const comparisonCases: OpCase[] = Object.entries(cases).map(([title, build]) => ({
  covers: [title.split(" ")[0]!],
  title,
  inputs: { x: ["n", 3], y: ["n", 3] },
  build: ({ x, y }) => build(x!, y!),
  lengths,
}));
