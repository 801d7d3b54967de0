import { exp, multiply, square } from "../ops/elementwise.ts";
import { order, permute, rank, sort } from "../ops/sorting.ts";
import type { Tensor } from "../tensor.ts";
import { lengths, type OpCase } from "./op-case.ts";

const cases: Record<string, (x: Tensor, y: Tensor) => Tensor> = {
  order: (x, y) => multiply(order(x), square(y)),
  rank: (x, y) => multiply(rank(x), square(y)),
  permute: (x, y) => multiply(permute(exp(x), order(y)), x),
  sort: (x, y) => multiply(sort(square(x)), y),
};

export const sortingCases: OpCase[] = Object.entries(cases).flatMap(([title, build]) => [
  { covers: [title], title, inputs: { x: [2, 5], y: [2, 5] }, build: ({ x, y }) => build(x!, y!) },
  {
    covers: [title],
    title: `${title} along a symbolic length`,
    inputs: { x: ["n"], y: ["n"] },
    build: ({ x, y }) => build(x!, y!),
    lengths,
  },
]);
