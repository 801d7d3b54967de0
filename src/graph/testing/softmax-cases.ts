import { multiply } from "../ops/elementwise.ts";
import { logSoftmax, softmax } from "../ops/softmax.ts";
import { formatShape } from "../tensor.ts";
import { lengths, type OpCase } from "./op-case.ts";

export const softmaxCases: OpCase[] = Object.entries({ softmax, logSoftmax }).flatMap(([op, apply]) =>
  ([[5], ["n", 4], [2, 1, 3], ["n", 1]] as const).map((shape) => ({
    covers: [op],
    title: `${op} ${formatShape(shape)}`,
    inputs: { x: shape },
    build: ({ x }) => multiply(apply(x!), x!),
    lengths,
  })),
);
