import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { gradients } from "../gradient.ts";
import { interpret } from "../interpreter.ts";
import { defineProgram } from "../program.ts";
import { input, type Tensor, type Value } from "../tensor.ts";
import { opCases } from "../testing/cases.ts";
import { type Differentiated, derivatives, type OpCase, wholeProgram } from "../testing/op-case.ts";
import { largestError, randomValues } from "../testing/values.ts";
import * as activations from "./activations.ts";
import * as comparison from "./comparison.ts";
import * as elementwise from "./elementwise.ts";
import * as indexing from "./indexing.ts";
import * as matmul from "./matmul.ts";
import * as reduce from "./reduce.ts";
import * as shape from "./shape.ts";
import * as softmax from "./softmax.ts";
import * as sorting from "./sorting.ts";

describe("the table of cases", () => {
  test("covers every constructor under ops/", () => {
    const modules = {
      "activations.ts": activations,
      "comparison.ts": comparison,
      "elementwise.ts": elementwise,
      "indexing.ts": indexing,
      "matmul.ts": matmul,
      "reduce.ts": reduce,
      "shape.ts": shape,
      "softmax.ts": softmax,
      "sorting.ts": sorting,
    };
    const files = readdirSync(new URL(".", import.meta.url)).filter((file) => !file.endsWith(".test.ts"));
    // What weights are stored in has no gradient, and tests of its own.
    expect([...Object.keys(modules), "storage.ts"].sort()).toEqual(files.sort());
    const notConstructors = ["binary", "evaluateBinary", "isPlaced", "placedValues", "unary"];
    const exported = Object.values(modules).flatMap(Object.keys);
    const covered = new Set(opCases.flatMap(({ covers }) => covers));
    expect([...covered, ...notConstructors].sort()).toEqual(exported.sort());
  });

  test("reaches every op", () => {
    const reached = opCases.flatMap((opCase) => wholeProgram(opCase).nodes.flatMap(({ op }) => (op ? [op.name] : [])));
    expect([...new Set(reached)].sort()).toEqual([
      "add",
      "addPlaced",
      "columns",
      "constant",
      "divide",
      "erf",
      "exp",
      "expandLike",
      "joinColumns",
      "less",
      "log",
      "logSoftmax",
      "matmul",
      "maximum",
      "minimum",
      "multiply",
      "negate",
      "order",
      "padColumns",
      "permute",
      "pick",
      "place",
      "relu",
      "reshape",
      "sigmoid",
      "softmax",
      "softplus",
      "sqrt",
      "stopGradient",
      "subtract",
      "sum",
      "swapPairs",
      "tanh",
      "transpose",
      "where",
    ]);
  });

  test("has no title twice", () => {
    expect(new Set(opCases.map(({ title }) => title)).size).toBe(opCases.length);
  });
});

describe("gradients equal central differences in float64", () => {
  const cases = opCases.filter(({ stopsGradient }) => !stopsGradient);
  test.each(cases.map((opCase) => [opCase.title, opCase] as const))("%s", (_, opCase) => {
    const { first, second } = derivatives(opCase);
    expect(gradientError(first, opCase)).toBeLessThan(1e-8);
    expect(gradientError(second, opCase)).toBeLessThan(1e-8);
  });

  test("what stopGradient returns is a constant for the gradient", () => {
    const x = input([3]);
    const dy = input([3]);
    const held = elementwise.stopGradient(elementwise.exp(x));
    const [dx] = gradients([[elementwise.multiply(x, held), dy]], [x]);
    const values = randomValues({ x, dy });
    const expected = Array.from(values.x!.data, (value, index) => Math.exp(value) * values.dy!.data[index]!);
    expect(largestError(evaluate(dx!, { x, dy }, values), expected)).toBeLessThan(1e-15);
    expect(gradients([[elementwise.stopGradient(x), dy]], [x])).toEqual([undefined]);
  });
});

/**
 * The largest relative difference between the gradients and differences of `Σ outputs · cotangents`
 * in every element.
 */
function gradientError({ inputs, outputs, cotangents, gradients }: Differentiated, opCase: OpCase): number {
  const values = randomValues(inputs, { ...opCase, lengths: opCase.lengths?.[0] });
  const actual = interpret(defineProgram("gradients", inputs, gradients), values);
  const program = defineProgram("outputs", inputs, outputs);
  const total = (changed: Record<string, Value>) =>
    Object.entries(interpret(program, changed)).reduce(
      (sum, [name, { data }]) => sum + dot(data, changed[cotangents[name]!]!.data),
      0,
    );
  const errors = Object.entries(inputs).flatMap(([name, { type }]) => {
    const { shape, data } = values[name]!;
    // The cotangents of this level only scale the outputs.
    if (type === "int" || Object.values(cotangents).includes(name)) return [];
    const at = (index: number, step: number) => {
      const moved = Float64Array.from(data);
      moved[index]! += step;
      return total({ ...values, [name]: { shape, data: moved } });
    };
    const step = 1e-3;
    const differences = Array.from(data, (_, index) => {
      const [near, far] = [step, 2 * step].map((distance) => at(index, distance) - at(index, -distance));
      return (8 * near! - far!) / (12 * step);
    });
    return largestError(actual[name]?.data ?? new Float64Array(data.length), differences);
  });
  return Math.max(...errors);
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((sum, value, index) => sum + value * b[index]!, 0);
}

function evaluate(tensor: Tensor, inputs: Record<string, Tensor>, values: Record<string, Value>): ArrayLike<number> {
  return interpret(defineProgram("test", inputs, { tensor }), values).tensor!.data;
}

describe("where an operand is at a kink", () => {
  const [x, dy] = [input([3]), input([3])];
  const values = {
    x: { shape: [3], data: Float64Array.of(-1, 0, 1) },
    dy: { shape: [3], data: Float64Array.of(1, 1, 1) },
  };
  const { constant } = elementwise;
  test.each([
    ["relu", comparison.relu(x), [0, 0, 1]],
    ["maximum", comparison.maximum(x, constant(0)), [0, 0.5, 1]],
    ["minimum", comparison.minimum(constant(0), x), [1, 0.5, 0]],
    ["clamp", comparison.clamp(x, 0, 1), [0, 1, 1]],
  ])("%s has its usual subgradient", (_, y, expected) => {
    expect(Array.from(evaluate(gradients([[y, dy]], [x])[0]!, { x, dy }, values))).toEqual(expected);
  });

  test.each([
    [0, 0],
    [1e-9, 1.1283791670955127e-9],
    [0.5, 0.5204998778130465],
    [-1, -0.8427007929497149],
    [2, 0.9953222650189527],
    [-3, -0.9999779095030014],
    [5.5, 0.9999999999999927],
    [6.5, 1],
    [Number.NEGATIVE_INFINITY, -1],
  ])("erf of %d is %d", (at, expected) => {
    const x = input([]);
    const actual = evaluate(activations.erf(x), { x }, { x: { shape: [], data: Float64Array.of(at) } });
    expect(largestError(actual, [expected])).toBeLessThan(1e-15);
  });

  test("where keeps an infinite derivative that is not taken out of the gradient", () => {
    const y = comparison.where(comparison.less(constant(0), x), elementwise.sqrt(x), elementwise.scale(x, 0));
    const guarded = comparison.where(comparison.less(constant(0), x), x, elementwise.scale(x, 0));
    expect(Array.from(evaluate(gradients([[guarded, dy]], [x])[0]!, { x, dy }, values))).toEqual([0, 0, 1]);
    expect(Array.from(evaluate(y, { x }, values))).toEqual([-0, 0, 1]);
  });
});

// The interpreter and ONNX Runtime agree on the ops; what the constructors make of them is checked
// by hand.
describe("values", () => {
  const row = input([1, 4]);
  const matrix = input([2, 3]);
  const labels = input([2], "int");
  const picks = input([2]);
  const mixed = input([1, 4]);
  const values = {
    mixed: { shape: [1, 4], data: Float64Array.of(12, -8, 3, -4) },
    row: { shape: [1, 4], data: Float64Array.of(1, 2, 3, 4) },
    matrix: { shape: [2, 3], data: Float64Array.of(1, 2, 3, 4, 5, 6) },
    labels: { shape: [2], data: Int32Array.of(2, 0) },
    picks: { shape: [2], data: Float64Array.of(10, 20) },
  };
  const { add, scale } = elementwise;
  const placed = gradients([[indexing.pick(matrix, labels), picks]], [matrix])[0]!;
  const product = matmul.matmul(matrix, matrix, { transposeB: true });
  const ones = reduce.expandLike(elementwise.constant(1), product);
  test.each([
    ["swapPairs of halves", shape.swapPairs(row, { width: 4, layout: "halves" }), [3, 4, 1, 2]],
    ["swapPairs of neighbours", shape.swapPairs(row, { width: 4, layout: "interleaved" }), [2, 1, 4, 3]],
    ["swapPairs of a part", shape.swapPairs(row, { width: 2, layout: "halves" }), [2, 1, 3, 4]],
    ["transpose", shape.transpose(matrix, [1, 0]), [1, 4, 2, 5, 3, 6]],
    ["reshape", shape.reshape(matrix, [3, 2]), [1, 2, 3, 4, 5, 6]],
    ["sum over rows", reduce.sum(matrix, [0]), [5, 7, 9]],
    ["mean", reduce.mean(matrix), [2, 5]],
    ["expandLike", reduce.expandLike(reduce.sum(matrix, [1], { keepDimensions: true }), matrix), [6, 6, 6, 15, 15, 15]],
    ["pick", indexing.pick(matrix, labels), [3, 4]],
    ["place", placed, [0, 0, 10, 20, 0, 0]],
    ["addPlaced", indexing.addPlaced(matrix, placed), [1, 2, 13, 24, 5, 6]],
    ["add of placed values, left", add(placed, matrix), [1, 2, 13, 24, 5, 6]],
    ["add of placed values, right", add(matrix, placed), [1, 2, 13, 24, 5, 6]],
    ["add of placed values on both sides", add(placed, placed), [0, 0, 20, 40, 0, 0]],
    ["add of placed values and a number, left", add(placed, elementwise.constant(1)), [1, 1, 11, 21, 1, 1]],
    ["add of placed values and a number, right", add(elementwise.constant(1), placed), [1, 1, 11, 21, 1, 1]],
    ["scale", scale(matrix, -2), [-2, -4, -6, -8, -10, -12]],
    ["scale by zero", scale(matrix, 0), [0, 0, 0, 0, 0, 0]],
    ["square", elementwise.square(matrix), [1, 4, 9, 16, 25, 36]],
    ["less", comparison.less(matrix, elementwise.constant(3)), [1, 1, 0, 0, 0, 0]],
    ["relu", comparison.relu(elementwise.subtract(row, elementwise.constant(2))), [0, 0, 1, 2]],
    ["maximum", comparison.maximum(row, elementwise.constant(3)), [3, 3, 3, 4]],
    ["minimum", comparison.minimum(row, elementwise.constant(3)), [1, 2, 3, 3]],
    ["clamp", comparison.clamp(matrix, 2, 4), [2, 2, 3, 4, 4, 4]],
    ["order", sorting.order(mixed), [1, 3, 2, 0]],
    ["rank", sorting.rank(mixed), [3, 0, 2, 1]],
    ["rank of equal elements", sorting.rank(scale(mixed, 0)), [0, 1, 2, 3]],
    ["permute", sorting.permute(row, sorting.order(mixed)), [2, 4, 3, 1]],
    ["sort", sorting.sort(mixed), [-8, -4, 3, 12]],
    ["silu", activations.silu(scale(row, 0)), [0, 0, 0, 0]],
    ["subtract", elementwise.subtract(row, elementwise.constant(1)), [0, 1, 2, 3]],
    ["divide", elementwise.divide(row, elementwise.constant(2)), [0.5, 1, 1.5, 2]],
    ["unbroadcast to a row", elementwise.unbroadcast(matrix, [3]), [5, 7, 9]],
    ["unbroadcast to a column", elementwise.unbroadcast(matrix, [2, 1]), [6, 15]],
    ["matmul", product, [14, 32, 32, 77]],
    [
      "matmul of the transposed",
      matmul.matmul(matrix, matrix, { transposeA: true }),
      [17, 22, 27, 22, 29, 36, 27, 36, 45],
    ],
    ["accumulate a product", matmul.accumulate(ones, product), [15, 33, 33, 78]],
    ["accumulate an accumulated product", matmul.accumulate(ones, matmul.accumulate(ones, product)), [16, 34, 34, 79]],
    ["accumulate anything", matmul.accumulate(ones, scale(product, 2)), [29, 65, 65, 155]],
    ["linear with a bias", matmul.linear(matrix, matrix, reduce.sum(matrix, [1])), [20, 47, 38, 92]],
  ])("%s", (_, tensor, expected) => {
    expect(Array.from(evaluate(tensor, { row, matrix, labels, picks, mixed }, values))).toEqual(expected);
  });
});

describe("what does not fit is refused when the graph is built", () => {
  const matrix = input([2, 3]);
  const batched = input([4, 2, 3]);
  const swap = (x: Tensor, width: number) => shape.swapPairs(x, { width, layout: "halves" });
  test.each([
    ["broadcasting", () => elementwise.add(matrix, input([2])), "shapes [2, 3] and [2] do not broadcast"],
    ["two symbolic lengths", () => elementwise.add(input(["n"]), input(["m"])), "shapes [n] and [m] do not broadcast"],
    ["inner lengths", () => matmul.matmul(matrix, matrix), "[2, 3] and [2, 3] have different inner lengths"],
    ["batch axes", () => matmul.matmul(batched, input([3, 3, 2])), "shapes [4] and [3] do not broadcast"],
    [
      "a sum to add to a batched product",
      () => matmul.matmul(batched, input([3, 2]), { plus: input([2]) }),
      "matmul: `plus` needs a product of two plain matrices",
    ],
    [
      "a sum larger than the product",
      () => matmul.matmul(matrix, input([3, 2]), { plus: input([5, 2, 2]) }),
      "[5, 2, 2] cannot be added to a product [2, 2]",
    ],
    ["a reshape with two unknowns", () => shape.reshape(matrix, ["n", "m"]), "more than one symbolic length"],
    ["a reshape of another count", () => shape.reshape(matrix, [4, 2]), "reshape [2, 3] to [4, 2]"],
    ["an odd number of columns in pairs", () => swap(matrix, 3), "[2, 3] has no 3 columns in pairs"],
    ["more columns in pairs than there are", () => swap(matrix, 4), "[2, 3] has no 4 columns in pairs"],
    ["pairs in an unknown width", () => swap(input(["n"]), 2), "[n] has no 2 columns in pairs"],
    [
      "choices of other shapes",
      () => comparison.where(matrix, matrix, input([3])),
      "where: [2, 3], [2, 3], [3] differ in shape",
    ],
    ["indices of another shape", () => sorting.permute(matrix, input([3])), "permute: [3] indices for [2, 3]"],
    ["a mean over a symbolic length", () => reduce.mean(input([2, "n"])), "mean needs a last axis of known length"],
    ["labels for other rows", () => indexing.pick(matrix, input([3], "int")), "pick: [3] labels for [2, 3]"],
    ["labels of a vector", () => indexing.pick(input([3]), input([3], "int")), "pick: [3] labels for [3]"],
    ["expanding to a smaller shape", () => reduce.expandLike(matrix, input([1, 3])), "expandLike [2, 3] to [1, 3]"],
  ])("%s", (_, build, message) => {
    expect(build).toThrow(message);
  });
});
