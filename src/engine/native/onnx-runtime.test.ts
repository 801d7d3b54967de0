import { describe, expect, test } from "vitest";
import { gradients } from "../../graph/gradient.ts";
import { add, exp } from "../../graph/ops/elementwise.ts";
import { addPlaced, pick } from "../../graph/ops/indexing.ts";
import { linear } from "../../graph/ops/matmul.ts";
import { reshape } from "../../graph/ops/shape.ts";
import { defineProgram } from "../../graph/program.ts";
import { input } from "../../graph/tensor.ts";
import { randomNumbers } from "../../graph/testing/values.ts";
import { integers } from "../engine.ts";
import { sameBits, testAgreement } from "../testing/agreement.ts";
import { testContract } from "../testing/contract.ts";
import { testExtremes } from "../testing/extremes.ts";
import { testMemory } from "../testing/memory.ts";
import { valueIn } from "../testing/values.ts";
import { onnxRuntimeEngine } from "./onnx-runtime.ts";

const engine = onnxRuntimeEngine({ threads: 2 });

testContract(engine);
testExtremes(engine);
testMemory(engine);
testAgreement(engine);

test("another number of threads is refused in the same process", () => {
  expect(() => onnxRuntimeEngine({ threads: 1 })).toThrow("already runs with 2 threads in this process, not 1");
});

// ONNX Runtime's ScatterND loses updates when indices repeat and threads share the work; nothing
// here may.
describe("no update is lost with repeated indices and two threads", () => {
  const random = randomNumbers(7);
  const [count, width, vocabulary] = [3000, 48, 200];
  const whole = (length: number) => Float64Array.from({ length }, () => Math.floor(random() * 9) - 4);
  const fewLabels = Int32Array.from({ length: count }, () => Math.floor(random() * 40));
  const oneLabel = new Int32Array(count).fill(11);
  const runs = 50;

  test.each([
    ["a few", fewLabels],
    ["one and the same", oneLabel],
  ])("adding many rows to %s", async (_, indices) => {
    expect(new Set(indices).size).toBeLessThan(count / 2);
    const [dy, weight] = [input(["n", 8]), input([width, 8])];
    const executable = engine.compile(defineProgram("rows", { dy, weight }, { rows: linear(dy, weight) }));
    const values = {
      dy: valueIn(engine, { shape: [count, 8], data: whole(count * 8) }),
      weight: valueIn(engine, { shape: [width, 8], data: whole(width * 8) }),
    };
    // Sums of small integers, which float32 holds exactly.
    const expected = new Float32Array(vocabulary * width);
    indices.forEach((index, row) => {
      for (let column = 0; column < width; column++) {
        for (let k = 0; k < 8; k++) {
          expected[index * width + column]! += values.dy.data[row * 8 + k]! * values.weight.data[column * 8 + k]!;
        }
      }
    });
    const table = engine.zeros([vocabulary, width]);
    for (let run = 0; run < runs; run++) {
      engine.fill(table, 0);
      const { rows } = await executable.run(values);
      engine.addRows(table, rows!, indices);
      engine.release(rows!);
      expect(sameBits(table.data, expected)).toBe(true);
    }
  });

  test.each([
    ["a few labels", fewLabels],
    ["one label", oneLabel],
  ])("placing a value in each of many rows that share %s", async (_, labels) => {
    const [x, values, labelInput, picked] = [input(["n", width]), input(["n"]), input(["n"], "int"), input(["n"])];
    const placed = gradients([[pick(x, labelInput), values]], [x])[0]!;
    const outputs = {
      placed,
      sum: add(x, placed),
      sumOfTwo: addPlaced(addPlaced(x, placed), placed),
      withColumn: add(add(x, reshape(picked, ["n", 1])), placed),
    };
    const inputs = { x, values, labels: labelInput, picked };
    const executable = engine.compile(defineProgram("placed", inputs, outputs));
    const floats = { x: whole(count * width), values: whole(count), picked: whole(count) };
    const memory = {
      x: valueIn(engine, { shape: [count, width], data: floats.x }),
      values: valueIn(engine, { shape: [count], data: floats.values }),
      picked: valueIn(engine, { shape: [count], data: floats.picked }),
      labels: integers(labels),
    };
    const each = (element: (x: number, row: number, value: number) => number) =>
      Float32Array.from(floats.x, (x, index) => {
        const row = Math.floor(index / width);
        return element(x, row, index % width === labels[row] ? floats.values[row]! : 0);
      });
    const expected = {
      placed: each((_, __, value) => value),
      sum: each((x, _, value) => x + value),
      sumOfTwo: each((x, _, value) => x + 2 * value),
      withColumn: each((x, row, value) => x + floats.picked[row]! + value),
    };
    for (let run = 0; run < runs; run++) {
      const results = await executable.run(memory);
      for (const [name, values] of Object.entries(expected)) {
        // Adding 0 turns -0 into 0, which the exact sum does not tell apart.
        const sum = results[name]!.data.map((value) => value + 0) as Float32Array;
        expect(
          sameBits(
            sum,
            values.map((value) => value + 0),
          ),
          name,
        ).toBe(true);
        engine.release(results[name]!);
      }
    }
  });
});

describe("memory", () => {
  test("is float32, counted until it is released, and reused", async () => {
    const own = onnxRuntimeEngine({ threads: 2 });
    const value = own.allocate([10, 30]);
    expect(value.data).toBeInstanceOf(Float32Array);
    expect(value.data.length).toBe(300);
    const held = own.allocatedBytes;
    expect(held).toBeGreaterThanOrEqual(1200);
    const x = input(["n"]);
    const executable = own.compile(defineProgram("twice", { x }, { y: add(x, x) }));
    const { y } = await executable.run({ x: { ...value, shape: [300] } });
    expect(own.allocatedBytes).toBe(2 * held);
    own.release(y!);
    own.release(value);
    expect(own.allocatedBytes).toBe(0);
    const buffers = [y!.data.buffer, value.data.buffer];
    expect(buffers).toContain(own.allocate([300]).data.buffer);
    expect(() => own.release(y!)).toThrow("released twice");
    own.dispose();
  });

  test("that is given for a result is not counted", async () => {
    const own = onnxRuntimeEngine({ threads: 2 });
    const x = input(["n"]);
    const executable = own.compile(defineProgram("twice", { x }, { y: add(x, x) }));
    const value = { shape: [3], data: Float32Array.of(1, 2, 3) };
    await executable.run({ x: value }, { y: value });
    expect(Array.from(value.data)).toEqual([2, 4, 6]);
    expect(own.allocatedBytes).toBe(0);
    expect(() => own.release(value)).toThrow("did not come from this engine");
  });
});

describe("what goes wrong is said", () => {
  const [x, labels] = [input(["n", 2]), input(["n"], "int")];
  const program = defineProgram("picking", { x, labels }, { y: pick(x, labels) });
  const values = { x: { shape: [1, 2], data: Float32Array.of(1, 2) }, labels: integers([1]) };
  test.each([
    [
      "float64 data",
      { ...values, x: { shape: [1, 2], data: Float64Array.of(1, 2) } },
      "program picking: float64 data for a float32 engine",
    ],
    [
      "integers for floats",
      { ...values, x: { shape: [1, 2], data: Int32Array.of(1, 2) } },
      /^ONNX Runtime \(program picking\): Unexpected input data type/,
    ],
    [
      "a label out of range",
      { ...values, labels: integers([2]) },
      /^ONNX Runtime \(program picking\): .*Out of range value in index tensor$/s,
    ],
    [
      "too few data for the shape",
      { ...values, x: { shape: [1, 2], data: Float32Array.of(1) } },
      /^ONNX Runtime \(program picking\): not enough space/,
    ],
  ])("%s", async (_, inputs, message) => {
    const executable = engine.compile(program);
    await expect(executable.run(inputs)).rejects.toThrow(message);
    expect(Array.from((await executable.run(values)).y!.data)).toEqual([2]);
  });

  test("a program that ONNX Runtime does not accept", () => {
    const wrong = defineProgram("wrong", { labels }, { y: exp(labels) });
    expect(() => engine.compile(wrong)).toThrow(/^ONNX Runtime \(program wrong\): .*tensor\(int32\)/);
  });

  test("a program that has been disposed of, by itself or with its engine", async () => {
    const own = onnxRuntimeEngine({ threads: 2 });
    const [first, second] = [own.compile(program), own.compile(program)];
    first.dispose();
    first.dispose();
    await expect(first.run(values)).rejects.toThrow("program picking has been disposed");
    expect(Array.from((await second.run(values)).y!.data)).toEqual([2]);
    own.dispose();
    await expect(second.run(values)).rejects.toThrow("program picking has been disposed");
  });
});
