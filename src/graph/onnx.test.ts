import { fromBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "onnx-buf";
import { expect, test } from "vitest";
import { OnnxWriter, writeOnnx } from "./onnx.ts";
import { add, constant, exp, multiply, stopGradient } from "./ops/elementwise.ts";
import { pick } from "./ops/indexing.ts";
import { linear, matmul } from "./ops/matmul.ts";
import { defineProgram } from "./program.ts";
import { input, type Tensor } from "./tensor.ts";

function write(inputs: Record<string, Tensor>, outputs: Record<string, Tensor>) {
  const { bytes, outputNames } = writeOnnx(defineProgram("test", inputs, outputs));
  const graph = fromBinary(ModelProtoSchema, bytes).graph!;
  return { graph, outputNames, ops: graph.node.map(({ opType }) => opType) };
}

test("inputs and outputs carry their types, known lengths and symbolic lengths", () => {
  const [x, labels] = [input(["rows", 3]), input(["rows"], "int")];
  const { graph } = write({ x, labels }, { y: pick(x, labels) });
  const described = [...graph.input, ...graph.output].map(({ name, type }) => {
    const { elemType, shape } = type!.value.value as {
      elemType: number;
      shape: { dim: { value: { value: unknown } }[] };
    };
    return [name, elemType, shape.dim.map(({ value }) => value.value)];
  });
  const [float, int32] = [1, 6];
  expect(described.slice(0, 2)).toEqual([
    ["x", float, ["rows", 3n]],
    ["labels", int32, ["rows"]],
  ]);
  expect(described[2]!.slice(1)).toEqual([float, ["rows"]]);
});

test("a product of matrices is one Gemm, with its transpositions and what is added", () => {
  const [x, weight, bias] = [input(["n", 3]), input([4, 3]), input([4])];
  const { graph, ops } = write({ x, weight, bias }, { y: linear(x, weight, bias) });
  expect(ops).toEqual(["Gemm"]);
  expect(graph.node[0]!.input).toEqual(["x", "weight", "bias"]);
  const attributes = graph.node[0]!.attribute.map(({ name, i }) => [name, i]);
  expect(attributes).toEqual([
    ["transA", 0n],
    ["transB", 1n],
  ]);
});

test("a batched product is a MatMul", () => {
  const [a, b] = [input([2, 3, 4]), input([2, 5, 4])];
  expect(write({ a, b }, { y: matmul(a, b, { transposeB: true }) }).ops).toEqual(["Transpose", "MatMul"]);
});

test("a number that is used often is one constant", () => {
  const x = input([2]);
  const y = multiply(add(x, constant(2)), add(constant(2), constant(3)));
  expect(write({ x }, { y }).graph.initializer.map(({ floatData }) => floatData)).toEqual([[2], [3]]);
});

test("every output is a result of its own", () => {
  const x = input([2]);
  const y = exp(x);
  const { graph, outputNames, ops } = write({ x }, { x, y, again: y, stopped: stopGradient(x) });
  expect(ops).toEqual(["Exp", "Identity", "Identity", "Identity"]);
  const names = [...outputNames.values()];
  expect(new Set(names).size).toBe(4);
  expect(graph.output.map(({ name }) => name)).toEqual(names);
  expect(names).not.toContain("x");
});

test("names of inputs do not clash with names of results and constants", () => {
  const names = ["t0", "t1", "c0", "c1", "0"];
  const inputs = Object.fromEntries(names.map((name) => [name, input([2])]));
  const y = Object.values(inputs).reduce((total, x) => multiply(add(total, x), constant(2)), constant(1));
  const { graph } = write(inputs, { y });
  const all = [...graph.input, ...graph.initializer].map(({ name }) => name);
  all.push(...graph.node.flatMap(({ output }) => output));
  expect(new Set(all).size).toBe(all.length);
});

test("the rank of a name that the writer does not know is refused", () => {
  expect(() => new OnnxWriter("test").rank("x")).toThrow("the rank of x is not known");
});
