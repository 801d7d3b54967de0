import { describe, expect, test } from "vitest";
import { type Engine, rows, upload } from "../engine.ts";
import { gatherRows } from "../rows.ts";

/** The contract of every engine's memory, apart from running programs. */
export function testMemory(engine: Engine): void {
  const matrix = () => upload(engine, [4, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
  const read = async (value: Parameters<Engine["read"]>[0]) => Array.from(await engine.read(value));

  describe(`memory of the ${engine.precision} engine`, () => {
    test("is read as it was written, in whole or by views", async () => {
      const value = matrix();
      expect(await read(value)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      engine.write(rows(value, 1, 3), [30, 40, 50, 60]);
      engine.fill(rows(value, 3, 4), -1);
      expect(await read(value)).toEqual([1, 2, 30, 40, 50, 60, -1, -1]);
      expect(await read(rows(value, 2, 4))).toEqual([50, 60, -1, -1]);
      expect(() => engine.write(value, [1, 2, 3])).toThrow(RangeError);
      expect(() => upload(engine, [2], [1, 2, 3])).toThrow(RangeError);
      expect(await read(value)).toEqual([1, 2, 30, 40, 50, 60, -1, -1]);
    });

    test("is zero where zeros are asked for, even if it was used before", async () => {
      for (let round = 0; round < 3; round++) {
        const value = engine.zeros([5, 7]);
        expect(new Set(await read(value))).toEqual(new Set([0]));
        engine.fill(value, 3);
        engine.release(value);
      }
    });

    test("is loaded from a reader of float32 numbers; its error is passed on", async () => {
      const value = engine.allocate([3]);
      await engine.load(value, async (into) => into.set([0.5, 0.25, -2]));
      expect(await read(value)).toEqual([0.5, 0.25, -2]);
      await expect(engine.load(value, () => Promise.reject(new Error("gone")))).rejects.toThrow("gone");
    });

    test("rows are copied in the order of the indices, with repeats, from any format", async () => {
      const target = engine.zeros([4, 2]);
      engine.copyRows(target, matrix(), [3, 0, 3]);
      expect(await read(target)).toEqual([7, 8, 1, 2, 7, 8, 0, 0]);
      const halves = {
        shape: [2, 2],
        data: Uint16Array.of(0x3f80, 0x4000, 0xbf80, 0x3f00),
        format: "bfloat16",
      } as const;
      engine.copyRows(target, halves, [1, 1, 0]);
      expect(await read(target)).toEqual([-1, 0.5, -1, 0.5, 1, 2, 0, 0]);
    });

    test("added rows add to what is there, once for each time an index is repeated", async () => {
      const target = matrix();
      const source = upload(engine, [3, 2], [10, 20, 100, 200, 1000, 2000]);
      engine.addRows(target, source, Int32Array.of(2, 0, 2));
      expect(await read(target)).toEqual([101, 202, 3, 4, 1015, 2026, 7, 8]);
    });

    test("gathering and adding are each other's transpose", async () => {
      const [indices, source] = [[1, 1, 3, 0, 1], matrix()];
      const cotangent = upload(
        engine,
        [5, 2],
        Array.from({ length: 10 }, (_, index) => index - 4),
      );
      const scattered = engine.zeros([4, 2]);
      engine.addRows(scattered, cotangent, indices);
      const dot = (a: number[], b: number[]) => a.reduce((sum, value, index) => sum + value * b[index]!, 0);
      const gathered = gatherRows(engine, source, indices);
      expect(dot(await read(gathered), await read(cotangent))).toBe(dot(await read(source), await read(scattered)));
    });
  });
}
