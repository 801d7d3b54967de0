import { describe, expect, test } from "vitest";
import { interpret } from "./interpreter.ts";
import { silu } from "./ops/activations.ts";
import { add, exp, multiply, square } from "./ops/elementwise.ts";
import { linear } from "./ops/matmul.ts";
import { sum } from "./ops/reduce.ts";
import type { Program } from "./program.ts";
import { backwardProgram, forwardProgram, gradientName, type Section } from "./section.ts";
import { input, type Value } from "./tensor.ts";
import { largestError, randomValues } from "./testing/values.ts";

/** A gated layer: `x + (silu(x gateᵀ) * (x upᵀ) * table) downᵀ`. */
function gatedLayer(saved: "nothing" | "products" | "everything"): Section {
  const x = input(["n", 3]);
  const table = input(["n", 1]);
  const parameters = { gate: input([4, 3]), up: input([4, 3]), down: input([3, 4]), bias: input([3]) };
  const gated = linear(x, parameters.gate);
  const upward = linear(x, parameters.up);
  const product = multiply(multiply(silu(gated), upward), table);
  const saveable = { nothing: {}, products: { gated, upward }, everything: { gated, upward, product } };
  return {
    name: "gated layer",
    inputs: { x },
    constants: { table },
    parameters,
    outputs: { y: add(x, linear(product, parameters.down, parameters.bias)) },
    saved: saveable[saved],
  };
}

const count = (program: Program, op: string) => program.nodes.filter((node) => computed(program, node, op)).length;
const computed = (program: Program, node: Program["nodes"][number], op: string) =>
  node.op?.name === op && ![...program.inputs.values()].includes(node);

const values = randomValues(
  {
    ...gatedLayer("nothing").inputs,
    ...gatedLayer("nothing").constants,
    ...gatedLayer("nothing").parameters,
    [gradientName("y")]: input(["n", 3]),
    [gradientName("gate")]: input([4, 3]),
    [gradientName("up")]: input([4, 3]),
    [gradientName("down")]: input([3, 4]),
    [gradientName("bias")]: input([3]),
    [gradientName("x")]: input(["n", 3]),
  },
  { lengths: { n: 5 } },
);

/** Runs forward and then backward with what forward saved. */
function roundTrip(section: Section, options: Parameters<typeof backwardProgram>[1] = {}): Record<string, Value> {
  const saved = interpret(forwardProgram(section, { save: true }), values);
  return interpret(backwardProgram(section, options), { ...values, ...saved });
}

test("the forward program gives the outputs and, if asked, what is saved", () => {
  const section = gatedLayer("products");
  expect([...forwardProgram(section, { save: false }).outputs.keys()]).toEqual(["y"]);
  const saving = forwardProgram(section, { save: true });
  expect(saving.name).toBe("gated layer forward");
  expect([...saving.inputs.keys()]).toEqual(["x", "table", "gate", "up", "down", "bias"]);
  expect([...saving.outputs.keys()]).toEqual(["y", "gated", "upward"]);
  expect(count(saving, "matmul")).toBe(3);
});

describe("the backward program", () => {
  // Two products for each of three weights are the gradient itself.
  test.each([
    { saved: "nothing", inputs: ["x", "table", "gate", "up", "down"], matmuls: 8 },
    { saved: "products", inputs: ["x", "table", "gate", "up", "down", "gated", "upward"], matmuls: 6 },
    { saved: "everything", inputs: ["x", "table", "gate", "up", "down", "gated", "upward", "product"], matmuls: 6 },
  ] as const)("with $saved saved computes nothing saved again", ({ saved, inputs, matmuls }) => {
    const section = gatedLayer(saved);
    const program = backwardProgram(section);
    const named = [...program.inputs.keys()].filter((name) => !name.startsWith("gradient"));
    expect(named).toEqual(inputs);
    expect(count(program, "matmul")).toBe(matmuls);
    const leaves = new Set(program.inputs.values());
    for (const tensor of Object.values(section.saved)) expect(leaves).toContain(tensor);
    const outputs = Object.values(section.outputs);
    expect(program.nodes.filter((node) => outputs.includes(node))).toEqual([]);
  });

  test("gives the same whatever is saved", () => {
    const [nothing, ...others] = (["nothing", "products", "everything"] as const).map((saved) =>
      roundTrip(gatedLayer(saved)),
    );
    expect(Object.keys(nothing!)).toEqual(["x", "gate", "up", "down", "bias"].map(gradientName));
    for (const other of others) expect(other).toEqual(nothing);
  });

  test("adds the parameters' gradients to their totals, an input's only when asked", () => {
    const section = gatedLayer("nothing");
    const results = roundTrip(section);
    const accumulated = roundTrip(section, { accumulate: ["x"] });
    const fresh = interpret(backwardProgram(section), {
      ...values,
      ...Object.fromEntries(
        Object.entries(section.parameters).map(([name, { shape }]) => [
          gradientName(name),
          { shape: shape as number[], data: new Float64Array((shape as number[]).reduce((a, b) => a * b)) },
        ]),
      ),
    });
    const plus = (a: Value, b: Value) => Array.from(a.data, (value, index) => value + b.data[index]!);
    for (const name of Object.keys(section.parameters).map(gradientName)) {
      expect(largestError(results[name]!.data, plus(fresh[name]!, values[name]!)), name).toBeLessThan(1e-14);
    }
    const dx = gradientName("x");
    expect(results[dx]).toEqual(fresh[dx]);
    expect(largestError(accumulated[dx]!.data, plus(fresh[dx]!, values[dx]!))).toBeLessThan(1e-14);
    expect(backwardProgram(section).inputs.has(dx)).toBe(false);
    expect(backwardProgram(section, { accumulate: ["x"] }).inputs.has(dx)).toBe(true);
  });

  test("adds a weight's gradient to its total as part of the product", () => {
    const program = backwardProgram(gatedLayer("products"));
    for (const name of ["gate", "up", "down"]) {
      const result = program.outputs.get(gradientName(name))!;
      expect(result.op!.name).toBe("matmul");
      expect(result.inputs[2]).toBe(program.inputs.get(gradientName(name)));
    }
  });

  test("leaves out what the outputs do not depend on", () => {
    const [x, unused, weight] = [input(["n"]), input(["n"]), input([1])];
    const section: Section = {
      name: "partly used",
      inputs: { x, unused },
      constants: {},
      parameters: { weight },
      outputs: { y: square(x) },
      saved: {},
    };
    const program = backwardProgram(section);
    expect([...program.outputs.keys()]).toEqual([gradientName("x")]);
    expect([...program.inputs.keys()]).toEqual(["x", gradientName("y")]);
  });

  test("takes a gradient for each of several outputs, also when one is an input and one leads to another", () => {
    const x = input(["n"]);
    const first = exp(x);
    const section: Section = {
      name: "several",
      inputs: { x },
      constants: {},
      parameters: {},
      outputs: { same: x, first, second: square(first) },
      saved: {},
    };
    const one = (value: number): Value => ({ shape: [1], data: Float64Array.of(value) });
    const [same, down, further] = [2, 3, 5];
    const inputs = {
      x: one(0.5),
      [gradientName("same")]: one(same),
      [gradientName("first")]: one(down),
      [gradientName("second")]: one(further),
    };
    const result = interpret(backwardProgram(section), inputs)[gradientName("x")]!.data[0];
    expect(result).toBeCloseTo(same + down * Math.exp(0.5) + further * 2 * Math.exp(1), 12);
  });
});

test.each([
  ["an input and a parameter", { parameters: { x: input([3]) } }, "two tensors are called x"],
  ["a constant and an input", { constants: { x: input([3]) } }, "two tensors are called x"],
  ["a parameter and an output", { outputs: { weight: exp(input([3])) } }, "two tensors are called weight"],
  ["an output and what is saved", { saved: { y: exp(input([3])) } }, "two tensors are called y"],
])("%s of one name are refused", (_, change, message) => {
  const [x, weight] = [input([3]), input([3])];
  const section: Section = {
    name: "clash",
    inputs: { x },
    constants: {},
    parameters: { weight },
    outputs: { y: sum(multiply(x, weight), [0]) },
    saved: {},
    ...change,
  };
  expect(() => backwardProgram(section)).toThrow(`section clash: ${message}`);
  expect(() => forwardProgram(section, { save: true })).toThrow(`section clash: ${message}`);
});
