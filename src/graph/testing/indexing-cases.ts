import { gradients } from "../gradient.ts";
import { add, constant, exp, multiply, square } from "../ops/elementwise.ts";
import { addPlaced, pick } from "../ops/indexing.ts";
import { sum } from "../ops/reduce.ts";
import { reshape } from "../ops/shape.ts";
import { logSoftmax } from "../ops/softmax.ts";
import type { Tensor } from "../tensor.ts";
import { lengths, type OpCase } from "./op-case.ts";

/** Zeros but for `values` at `labels`: what the gradient of `pick` is. */
function placed(x: Tensor, labels: Tensor, values: Tensor): Tensor {
  return gradients([[pick(x, labels), values]], [x])[0]!;
}

export const indexingCases: OpCase[] = Object.entries<OpCase["build"]>({
  pick: ({ x, labels, values }) => multiply(pick(x!, labels!), values!),
  "pick, its operand used again": ({ x, labels, values }) =>
    add(x!, reshape(multiply(pick(square(x!), labels!), values!), ["n", 1])),
  "pick twice from one tensor": ({ x, labels, values }) =>
    multiply(pick(exp(x!), labels!), multiply(pick(x!, labels!), values!)),
  "pick of logSoftmax and of its exponential": ({ x, labels, values }) => {
    const logp = logSoftmax(x!);
    return add(multiply(pick(logp, labels!), values!), sum(multiply(exp(logp), logp), [-1]));
  },
  "placed values": ({ x, labels, values }) => multiply(placed(x!, labels!, values!), x!),
  addPlaced: ({ x, labels, values }) => square(addPlaced(x!, placed(x!, labels!, values!))),
  "add of placed values, left": ({ x, labels, values }) => square(add(placed(x!, labels!, values!), x!)),
  "add of placed values, right": ({ x, labels, values }) => square(add(x!, placed(x!, labels!, values!))),
  "add of placed values on both sides": ({ x, labels, values }) =>
    square(add(placed(x!, labels!, values!), placed(x!, labels!, square(values!)))),
  "add of placed values and a number, left": ({ x, labels, values }) =>
    square(add(placed(x!, labels!, values!), constant(0.5))),
  "add of placed values and a number, right": ({ x, labels, values }) =>
    square(add(constant(0.5), placed(x!, labels!, values!))),
}).map(([title, build]) => ({
  covers: [title.startsWith("pick") ? "pick" : "addPlaced"],
  title,
  inputs: { x: ["n", 4], labels: ["n"], values: ["n"] },
  build,
  labelsBelow: 4,
  lengths,
}));
