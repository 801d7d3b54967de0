import { describe, expect, test } from "vitest";
import { toBfloat16 } from "../../number-formats.ts";
import { interpret } from "../interpreter.ts";
import { defineProgram } from "../program.ts";
import { input } from "../tensor.ts";
import { randomNumbers } from "../testing/values.ts";
import { blocksOf, dequantize, quantize, widen } from "./storage.ts";

describe("widen", () => {
  test.each([
    ["bfloat16", 0x3fc0, 1.5],
    ["float16", 0x3e00, 1.5],
    ["float16", 0xc000, -2],
  ] as const)("%s %i is %f", (format, bits, expected) => {
    const x = input([1], format);
    const values = { x: { shape: [1], data: Uint16Array.of(bits), format } };
    expect(interpret(defineProgram("widen", { x }, { y: widen(x) }), values).y!.data[0]).toBe(expected);
  });

  test("a number format other than the declared one is refused", () => {
    const x = input([1], "bfloat16");
    const program = defineProgram("widen", { x }, { y: widen(x) });
    const half = { shape: [1], data: Uint16Array.of(0), format: "float16" as const };
    expect(() => interpret(program, { x: half })).toThrow("input x is float16, expected bfloat16 numbers");
    expect(() => interpret(program, { x: { shape: [1], data: Float32Array.of(0) } })).toThrow("is plain, expected");
  });
});

describe("quantize", () => {
  const randomArray = (count: number, seed: number) => {
    const random = randomNumbers(seed);
    return Float32Array.from({ length: count }, () => 2 * random() - 1);
  };
  const restored = (rows: number, columns: number, data: Float32Array) => {
    const { packed, scales } = quantize({ shape: [rows, columns], data });
    const [q, s] = [input([rows, columns], "int4"), input([rows, blocksOf(columns)])];
    const program = defineProgram("dequantize", { q, s }, { y: dequantize(q, s) });
    return interpret(program, { q: packed, s: scales }).y!.data;
  };

  // In a block of largest magnitude m the levels lie m / 8 apart; the end that has no level of its
  // own is one level away.
  test.each([
    [3, 64],
    [2, 200],
    [5, 7],
    [1, 1],
  ])("[%i, %i]: every number keeps to an eighth of its block's largest", (rows, columns) => {
    const data = randomArray(rows * columns, 5);
    const result = restored(rows, columns, data);
    data.forEach((value, index) => {
      const start = index - ((index % columns) % 64);
      const block = data.subarray(start, Math.min(start + 64, index - (index % columns) + columns));
      const largest = Math.max(...block.map(Math.abs));
      expect(Math.abs(result[index]! - value)).toBeLessThanOrEqual(largest / 8 + 1e-7);
    });
  });

  test("the largest of a block, zeros and multiples of its eighth are exact", () => {
    const data = Float32Array.of(-8, 7, 0, 3, -1, 5, 2, -4);
    expect([...restored(1, 8, data)]).toEqual([...data]);
    expect([...restored(1, 4, new Float32Array(4))]).toEqual([0, 0, 0, 0]);
  });

  test("sixteen levels take less than a tenth of a random block's magnitude", () => {
    const data = randomArray(64 * 64, 9);
    const result = restored(64, 64, data);
    const error = Math.hypot(...data.map((value, index) => value - result[index]!)) / Math.hypot(...data);
    expect(error).toBeLessThan(0.1);
  });
});

test("bfloat16 bits survive the way there and back", () => {
  const bits = new Uint16Array(3);
  toBfloat16(Float32Array.of(1, -0.5, 3), bits);
  const x = input([3], "bfloat16");
  const result = interpret(defineProgram("widen", { x }, { y: widen(x) }), {
    x: { shape: [3], data: bits, format: "bfloat16" },
  });
  expect([...result.y!.data]).toEqual([1, -0.5, 3]);
});
