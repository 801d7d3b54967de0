import { expect, test } from "vitest";
import { interpret } from "../../graph/interpreter.ts";
import { add, constant, exp, scale, stopGradient, subtract } from "../../graph/ops/elementwise.ts";
import { accumulate, linear, matmul } from "../../graph/ops/matmul.ts";
import { sum } from "../../graph/ops/reduce.ts";
import { reshape } from "../../graph/ops/shape.ts";
import { softmax } from "../../graph/ops/softmax.ts";
import { dequantize, quantize, widen } from "../../graph/ops/storage.ts";
import { defineProgram } from "../../graph/program.ts";
import { input } from "../../graph/tensor.ts";
import { largestError } from "../../graph/testing/values.ts";
import { toBfloat16 } from "../../number-formats.ts";
import { type Engine, rows } from "../engine.ts";
import { arrayOf, randomIn, runOnce, valueIn, vectorIn } from "./values.ts";

/** Tests of what every engine promises. */
export function testContract(engine: Engine): void {
  const tolerance = engine.precision === "float32" ? 1e-6 : 1e-15;

  test("results come with their shapes, in memory of their own or in memory that is given", async () => {
    const [x, y] = [input(["n", 2]), input([2])];
    const executable = engine.compile(defineProgram("two sums", { x, y }, { sum: add(x, y), total: sum(x, [0]) }));
    const values = {
      x: valueIn(engine, { shape: [2, 2], data: Float64Array.of(1, 2, 3, 4) }),
      y: vectorIn(engine, 10, 20),
    };
    const given = engine.allocate([2]);
    const results = await executable.run({ ...values, ignored: vectorIn(engine, 1) }, { total: given });
    expect(results.sum).toEqual({ shape: [2, 2], data: expect.anything() });
    expect(arrayOf(results.sum!)).toEqual([11, 22, 13, 24]);
    expect(results.total!.data).toBe(given.data);
    expect(arrayOf(given)).toEqual([4, 6]);
    expect(arrayOf(values.x)).toEqual([1, 2, 3, 4]);
    expect(executable.program.name).toBe("two sums");
  });

  test("one program runs with any symbolic lengths", async () => {
    const [x, weight] = [input(["n", 3]), input([4, 3])];
    const executable = engine.compile(defineProgram("linear", { x, weight }, { y: linear(x, weight) }));
    for (const n of [5, 1, 70, 0, 5]) {
      const values = randomIn(engine, { x, weight }, { lengths: { n }, seed: n });
      const { y } = await executable.run(values);
      const expected = Array.from({ length: n * 4 }, (_, index) => {
        const [row, column] = [Math.floor(index / 4), index % 4];
        return [0, 1, 2].reduce(
          (sum, k) => sum + values.x!.data[row * 3 + k]! * values.weight!.data[column * 3 + k]!,
          0,
        );
      });
      expect(y!.shape).toEqual([n, 4]);
      expect(largestError(y!.data, expected)).toBeLessThan(tolerance);
    }
  });

  test.each([
    [4, 64],
    [3, 130],
    [5, 7],
  ])("products with weights [%i, %i] of 16 and of 4 bits", async (outputs, columns) => {
    const weight = randomIn(engine, { w: input([outputs, columns]) }, { seed: columns }).w!;
    const half = new Uint16Array(weight.data.length);
    toBfloat16(Float32Array.from(weight.data), half);
    const { packed, scales } = quantize(weight);
    const x = input(["n", columns]);
    const [w16, q, s] = [input([outputs, columns], "bfloat16"), input([outputs, columns], "int4"), input(scales.shape)];
    const program = defineProgram(
      "stored",
      { x, w16, q, s },
      { wide: linear(x, widen(w16)), four: linear(x, dequantize(q, s)) },
    );
    const values = {
      x: randomIn(engine, { x }, { lengths: { n: 6 } }).x!,
      w16: { shape: weight.shape, data: half, format: "bfloat16" as const },
      q: packed,
      s: valueIn(engine, scales),
    };
    const results = await engine.compile(program).run(values);
    const expected = interpret(program, values);
    for (const name of ["wide", "four"])
      expect(largestError(results[name]!.data, expected[name]!.data)).toBeLessThan(tolerance * 10);
    expect(largestError(results.four!.data, results.wide!.data)).toBeGreaterThan(0.01);
  });

  test("outputs that are inputs, come twice, or only look through another shape", async () => {
    const x = input([2, 2]);
    const doubled = scale(x, 2);
    const outputs = {
      same: x,
      sameAgain: x,
      stopped: stopGradient(x),
      doubled,
      doubledAgain: doubled,
      flat: reshape(x, [4]),
      flatDoubled: reshape(stopGradient(doubled), [4]),
    };
    const value = valueIn(engine, { shape: [2, 2], data: Float64Array.of(1, 2, 3, 4) });
    const results = await runOnce(engine, { x }, outputs, { x: value });
    const arrays = Object.fromEntries(Object.entries(results).map(([name, result]) => [name, arrayOf(result)]));
    const [once, twice] = [
      [1, 2, 3, 4],
      [2, 4, 6, 8],
    ];
    expect(arrays).toEqual({
      ...{ same: once, sameAgain: once, stopped: once, flat: once },
      ...{ doubled: twice, doubledAgain: twice, flatDoubled: twice },
    });
    const buffers = new Set([value, ...Object.values(results)].map(({ data }) => data.buffer));
    expect(buffers.size).toBe(1 + Object.keys(outputs).length);
  });

  test("outputs that are constants", async () => {
    const outputs = { two: constant(2), twoAgain: constant(2), five: add(constant(2), constant(3)) };
    const results = await runOnce(engine, {}, outputs, {});
    expect(Object.values(results).map(arrayOf)).toEqual([[2], [2], [5]]);
    expect(results.two!.shape).toEqual([]);
  });

  test("inputs may have any name", async () => {
    const names = ["0", "t0", "t1", "c0", "f2", "a b", "gradient of x", "x/y", "π"];
    const inputs = Object.fromEntries(names.map((name) => [name, input([1])]));
    const total = Object.values(inputs).reduce((sum, x, index) => add(sum, scale(x, 10 ** index)), constant(0));
    const values = Object.fromEntries(names.map((name, index) => [name, vectorIn(engine, index)]));
    const results = await runOnce(engine, inputs, { "t2 output": total }, values);
    expect(arrayOf(results["t2 output"]!)).toEqual(
      [876543210].map(engine.precision === "float32" ? Math.fround : Number),
    );
  });

  test.each([
    ["an input is missing", { x: [2, 3] }, {}, "program sum: input y is missing"],
    ["an input has another shape", { x: [2, 3], y: [2] }, {}, "program sum: input y is [2], expected [3]"],
    ["an input has another rank", { x: [6], y: [3] }, {}, "program sum: input x is [6], expected [n, 3]"],
    [
      "memory is too small",
      { x: [2, 3], y: [3] },
      { sum: [5] },
      "program sum: output sum is [2,3], memory given for [5]",
    ],
    ["memory is too large", { x: [2, 3], y: [3] }, { sum: [3, 3] }, "output sum is [2,3], memory given for [3,3]"],
  ])("a run is refused where %s", async (_, inputs, outputs, message) => {
    const [x, y] = [input(["n", 3]), input([3])];
    const executable = engine.compile(defineProgram("sum", { x, y }, { sum: add(x, y) }));
    const allocated = (shapes: Record<string, number[]>) =>
      Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, engine.allocate(shape)]));
    await expect(executable.run(allocated(inputs), allocated(outputs))).rejects.toThrow(message);
  });

  test.each(["product", "something else"])(
    "a total that takes a %s in place equals one in new memory",
    async (kind) => {
      const [total, a, b] = [input([40, 30]), input(["n", 40]), input(["n", 30])];
      const product = matmul(a, b, { transposeA: true });
      const sum = accumulate(total, kind === "product" ? product : exp(product));
      const executable = engine.compile(defineProgram("accumulation", { total, a, b }, { sum }));
      const { total: memory, ...values } = randomIn(engine, { total, a, b }, { lengths: { n: 50 } });
      const before = arrayOf(memory!);
      const elsewhere = (await executable.run({ ...values, total: memory! })).sum!;
      expect(arrayOf(memory!)).toEqual(before);
      const { sum: result } = await executable.run({ ...values, total: memory! }, { sum: memory! });
      expect(result!.data).toBe(memory!.data);
      expect(arrayOf(memory!)).toEqual(arrayOf(elsewhere));
      expect(arrayOf(memory!)).not.toEqual(before);
    },
  );

  test("an elementwise update over its operands equals one in new memory", async () => {
    const n = 50_000;
    const [weight, velocity, gradient] = [input(["n"]), input(["n"]), input(["n"])];
    const next = add(scale(velocity, 0.9), scale(gradient, 0.1));
    const moved = subtract(weight, add(scale(next, 0.01), scale(weight, 0.001)));
    const program = defineProgram("update", { weight, velocity, gradient }, { weight: moved, velocity: next });
    const executable = engine.compile(program);
    const values = randomIn(engine, { weight, velocity, gradient }, { lengths: { n } });
    const elsewhere = await executable.run(values);
    await executable.run(values, { weight: values.weight!, velocity: values.velocity! });
    expect(arrayOf(values.weight!)).toEqual(arrayOf(elsewhere.weight!));
    expect(arrayOf(values.velocity!)).toEqual(arrayOf(elsewhere.velocity!));
    const again = await executable.run(values);
    expect(arrayOf(again.weight!)).not.toEqual(arrayOf(values.weight!));
  });

  test("views of rows serve as inputs and as outputs", async () => {
    const [x, weight] = [input(["n", 3]), input([3, 3])];
    const executable = engine.compile(defineProgram("view", { x, weight }, { y: linear(x, weight) }));
    const { x: flat, weight: w } = randomIn(engine, { x, weight }, { lengths: { n: 9 } });
    const whole = (await executable.run({ x: flat!, weight: w! })).y!;
    const target = engine.allocate([9, 3]);
    engine.fill(target, 7);
    for (const [start, end] of [[1, 4] as const, [5, 8] as const]) {
      await executable.run({ x: rows(flat!, start, end), weight: w! }, { y: rows(target, start, end) });
    }
    const untouched = new Set([0, 4, 8]);
    const expected = arrayOf(whole).map((value, index) => (untouched.has(Math.floor(index / 3)) ? 7 : value));
    expect(largestError(target.data, expected)).toBeLessThan(tolerance);
    expect(arrayOf(rows(target, 4, 5))).toEqual([7, 7, 7]);
  });

  test("runs that overlap in time do not disturb each other", async () => {
    const [x, weight] = [input(["n", 64]), input([64, 64])];
    const inputs = { x, weight };
    const product = engine.compile(defineProgram("product", inputs, { y: linear(softmax(x), weight) }));
    const values = [3, 40, 17].map((n) => randomIn(engine, inputs, { lengths: { n }, seed: n }));
    const alone: number[][] = [];
    for (const value of values) alone.push(arrayOf((await product.run(value)).y!));
    const together = await Promise.all(values.map((value) => product.run(value)));
    expect(together.map(({ y }) => arrayOf(y!))).toEqual(alone);
  });
}
