import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { linear } from "../../graph/ops/matmul.ts";
import { defineProgram } from "../../graph/program.ts";
import { input } from "../../graph/tensor.ts";
import { mapFile } from "./mapped-file.ts";
import { onnxRuntimeEngine } from "./onnx-runtime.ts";

const folder = mkdtempSync(join(tmpdir(), "tokenwise-map-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("mapFile", () => {
  const file = join(folder, "numbers");
  const numbers = Float32Array.from({ length: 50_000 }, (_, index) => index / 7);
  writeFileSync(file, numbers);

  test.each([
    [0, 4],
    [4, 400],
    [65_536, 8],
    [65_540, 100_000],
    [199_996, 4],
  ])("from byte %i on, %i bytes are those of the file", (offset, bytes) => {
    const mapped = mapFile(file, offset, bytes);
    expect(mapped?.byteLength).toBe(bytes);
    expect(new Float32Array(mapped!)).toEqual(numbers.subarray(offset / 4, (offset + bytes) / 4));
  });

  test("a program reads its weights from there, also after the file was replaced", async () => {
    const engine = onnxRuntimeEngine({ threads: 2 });
    const mapped = new Float32Array(mapFile(file, 0, 24)!);
    rmSync(file);
    writeFileSync(file, new Float32Array(50_000));
    const [x, weight] = [input([1, 3]), input([2, 3])];
    const program = engine.compile(defineProgram("mapped", { x, weight }, { y: linear(x, weight) }));
    const { y } = await program.run({
      x: { shape: [1, 3], data: Float32Array.of(7, 14, 21) },
      weight: { shape: [2, 3], data: mapped },
    });
    expect([...y!.data].map((value) => Math.round(value))).toEqual([8, 26]);
  });

  test("nothing of a file that is not there", () => {
    expect(() => mapFile(join(folder, "none"), 0, 4)).toThrow("ENOENT");
  });

  test("many mappings that nobody holds do not pile up", () => {
    writeFileSync(join(folder, "other"), new Uint8Array(1 << 20));
    for (let count = 0; count < 2000; count++) mapFile(join(folder, "other"), 0, 1 << 20);
    expect(mapFile(join(folder, "other"), 0, 1)!.byteLength).toBe(1);
  });
});
