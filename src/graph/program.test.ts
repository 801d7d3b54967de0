import { expect, test } from "vitest";
import { interpret } from "./interpreter.ts";
import { add, constant, exp, scale } from "./ops/elementwise.ts";
import { linear, matmul } from "./ops/matmul.ts";
import { bindLengths, defineProgram, outputShapes } from "./program.ts";
import { input, type Shape, type Value } from "./tensor.ts";

const zeros = (shape: readonly number[]): Value => ({
  shape,
  data: new Float64Array(shape.reduce((product, length) => product * length, 1)),
});

test("a leaf without a name is refused, a constant needs none", () => {
  const [x, y] = [input([2]), input([2])];
  expect(() => defineProgram("half", { x }, { sum: add(x, y) })).toThrow("program half: an input is not named");
  expect(() => defineProgram("whole", { x }, { sum: add(x, constant(1)) })).not.toThrow();
});

test("inputs that the outputs do not need are left out", () => {
  const [x, y] = [input([2]), input([2])];
  const program = defineProgram("one", { x, y }, { result: exp(x) });
  expect([...program.inputs.keys()]).toEqual(["x"]);
  expect(interpret(program, { x: zeros([2]) })).toEqual({ result: { shape: [2], data: Float64Array.of(1, 1) } });
});

test("an intermediate result declared as input cuts off what is behind it", () => {
  const x = input([1]);
  const middle = exp(x);
  const y = scale(middle, 2);
  const program = defineProgram("second half", { x, middle }, { y });
  expect([...program.inputs.keys()]).toEqual(["middle"]);
  expect(program.nodes.filter(({ op }) => op?.name === "exp")).toEqual([middle]);
  const five = { shape: [1], data: Float64Array.of(5) };
  expect(interpret(program, { middle: five }).y!.data[0]).toBe(10);
  // Beside a route that needs it, what is behind is computed, and the route through the input is
  // still cut.
  const both = defineProgram("both", { x, middle }, { y: add(y, x) });
  expect(interpret(both, { middle: five, x: five }).y!.data[0]).toBe(15);
});

test("nodes come parents first, each once, and only those that are needed", () => {
  const x = input([2]);
  const a = exp(x);
  const unneeded = exp(a);
  const b = add(a, a);
  const { nodes } = defineProgram("nodes", { x }, { b, a });
  expect(nodes).toEqual([x, a, b]);
  expect(nodes).not.toContain(unneeded);
});

const [x, weight, bias] = [input(["tokens", 3]), input([4, 3]), input([4])];
const program = defineProgram("linear", { x, weight, bias }, { y: linear(x, weight, bias) });
const shapes = { x: [5, 3], weight: [4, 3], bias: [4] };
const valuesOf = (all: Record<string, number[]>) =>
  Object.fromEntries(Object.entries(all).map(([name, shape]) => [name, zeros(shape)]));

test("symbolic lengths take the values of the inputs", () => {
  expect(bindLengths(program, valuesOf(shapes))).toEqual(new Map([["tokens", 5]]));
  expect(outputShapes(program, valuesOf(shapes))).toEqual(new Map([["y", [5, 4]]]));
  expect(outputShapes(program, valuesOf({ ...shapes, x: [0, 3] })).get("y")).toEqual([0, 4]);
});

test.each([
  ["a missing input", { x: [5, 3], weight: [4, 3] }, "program linear: input bias is missing"],
  ["a known length", { ...shapes, weight: [4, 2] }, "program linear: input weight is [4, 2], expected [4, 3]"],
  ["a missing axis", { ...shapes, x: [3] }, "program linear: input x is [3], expected [tokens, 3]"],
  ["an additional axis", { ...shapes, bias: [1, 4] }, "program linear: input bias is [1, 4], expected [4]"],
])("%s is refused", (_, wrong, message) => {
  for (const use of [bindLengths, outputShapes, interpret]) {
    expect(() => use(program, valuesOf(wrong as Record<string, number[]>))).toThrow(message);
  }
});

test("a symbolic length must be the same everywhere", () => {
  const [a, b] = [input(["n", "n"]), input(["n", 2])];
  const square = defineProgram("square", { a, b }, { y: matmul(a, b) });
  const run = (aShape: number[], bShape: number[]) => interpret(square, { a: zeros(aShape), b: zeros(bShape) });
  expect(run([3, 3], [3, 2]).y!.shape).toEqual([3, 2]);
  expect(() => run([3, 4], [4, 2])).toThrow("program square: input a is [3, 4], expected [n, n]");
  expect(() => run([3, 3], [4, 2])).toThrow("program square: input b is [4, 2], expected [n, 2]");
});

test("an output of a length that no input has is refused", () => {
  const y = { ...exp(x), shape: ["rows", 3] satisfies Shape };
  const wrong = defineProgram("wrong", { x }, { y });
  expect(() => outputShapes(wrong, { x: zeros([2, 3]) })).toThrow("program wrong: no input has the length rows");
});
