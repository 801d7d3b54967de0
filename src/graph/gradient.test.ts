import { expect, test } from "vitest";
import { gradients, topologicalOrder } from "./gradient.ts";
import { interpret } from "./interpreter.ts";
import { add, exp, multiply, scale, square, stopGradient } from "./ops/elementwise.ts";
import { pick } from "./ops/indexing.ts";
import { sum } from "./ops/reduce.ts";
import { defineProgram } from "./program.ts";
import { apply, input, type Op, type Tensor } from "./tensor.ts";

/** Values of scalar tensors for scalar inputs. */
function scalars(inputs: Record<string, [Tensor, number]>, outputs: Record<string, Tensor>): Record<string, number> {
  const tensors = Object.fromEntries(Object.entries(inputs).map(([name, [tensor]]) => [name, tensor]));
  const values = Object.fromEntries(
    Object.entries(inputs).map(([name, [, value]]) => [name, { shape: [], data: Float64Array.of(value) }]),
  );
  const results = interpret(defineProgram("test", tensors, outputs), values);
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data[0]!]));
}

test("contributions add up: over outputs, over uses, over an output that is given twice", () => {
  const [x, one, two] = [input([]), input([]), input([])];
  const y = multiply(x, square(x));
  const [dx] = gradients(
    [
      [y, one],
      [y, two],
      [x, two],
    ],
    [x],
  );
  // 3 x² (1 + 2) + 2
  expect(scalars({ x: [x, 5], one: [one, 1], two: [two, 2] }, { dx: dx! })).toEqual({ dx: 3 * 25 * 3 + 2 });
});

test("what the outputs do not depend on has no gradient", () => {
  const [x, other, dy, labels] = [input(["n", 2]), input([]), input(["n"]), input(["n"], "int")];
  const y = pick(x, labels);
  const [dx, dOther, dLabels] = gradients([[y, dy]], [x, other, labels]);
  expect(dx!.shape).toEqual(["n", 2]);
  expect([dOther, dLabels]).toEqual([undefined, undefined]);
  expect(gradients([[stopGradient(sum(x, [1])), dy]], [x])).toEqual([undefined]);
});

test("the gradient of an output for itself is its cotangent", () => {
  const [x, dy] = [input([3]), input([3])];
  const y = exp(x);
  expect(gradients([[y, dy]], [y])[0]).toBe(dy);
  expect(gradients([[x, dy]], [x])[0]).toBe(dy);
});

test("an intermediate result may be a source; what is behind it gets only what goes around it", () => {
  const [x, dy] = [input([]), input([])];
  const middle = scale(x, 3);
  const through = square(middle);
  expect(gradients([[through, dy]], [middle, x])[1]).toBeUndefined();
  const [dMiddle, dx] = gradients([[add(through, scale(x, 10)), dy]], [middle, x]);
  expect(scalars({ x: [x, 2], dy: [dy, 1] }, { dMiddle: dMiddle!, dx: dx! })).toEqual({ dMiddle: 12, dx: 10 });
  const [whole] = gradients([[add(through, scale(x, 10)), dy]], [x]);
  expect(scalars({ x: [x, 2], dy: [dy, 1] }, { whole: whole! })).toEqual({ whole: 46 });
});

test("a gradient can be differentiated again, and again", () => {
  const [x, one] = [input([]), input([])];
  const derivatives = [multiply(square(x), square(x))];
  for (let order = 1; order <= 4; order++) derivatives.push(gradients([[derivatives.at(-1)!, one]], [x])[0]!);
  const named = Object.fromEntries(derivatives.map((tensor, order) => [order, tensor]));
  expect(scalars({ x: [x, 2], one: [one, 1] }, named)).toEqual({ 0: 16, 1: 32, 2: 48, 3: 48, 4: 24 });
});

test("a gradient of another shape than its tensor names the op", () => {
  const x = input([2]);
  const wrong: Op = {
    name: "wrong",
    evaluate: ([value]) => value!,
    onnx: (_writer, [name]) => name!,
    gradient: ({ dy }) => [sum(dy, [0])],
  };
  const middle = apply(wrong, [exp(x)], [2], {});
  expect(() => gradients([[middle, input([2])]], [x])).toThrow("gradient of exp [2] has shape []");
  expect(() => gradients([[x, input([3])]], [x])).toThrow("gradient of input [2] has shape [3]");
});

test("rules are told which inputs are wanted", () => {
  const wanted: (readonly boolean[])[] = [];
  const spy: Op = {
    name: "spy",
    evaluate: ([value]) => value!,
    onnx: (_writer, [name]) => name!,
    gradient: (node) => {
      wanted.push(node.wanted);
      return [node.dy, node.dy];
    },
  };
  const [a, b, dy] = [input([]), input([]), input([])];
  const y = apply(spy, [a, b], [], {});
  expect(gradients([[y, dy]], [b])).toEqual([dy]);
  gradients([[y, dy]], [a, b]);
  gradients([[y, dy]], [dy]);
  expect(wanted).toEqual([
    [false, true],
    [true, true],
  ]);
});

test("topological order: parents first, every node once, not past the boundary", () => {
  const x = input([]);
  const a = exp(x);
  const b = square(a);
  const c = add(a, b);
  expect(topologicalOrder([c, b])).toEqual([x, a, b, c]);
  expect(topologicalOrder([c], new Set([a]))).toEqual([a, b, c]);
});
