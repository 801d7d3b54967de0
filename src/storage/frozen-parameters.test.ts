import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { onnxRuntimeEngine } from "../engine/native/onnx-runtime.ts";
import { newLlama } from "../families/new-llama.ts";
import { architectureOf } from "../families/registry.ts";
import { widened } from "../graph/ops/storage.ts";
import type { Value } from "../graph/tensor.ts";
import { parameterShapes } from "../models/architecture.ts";
import { type ModelFolder, openModelFolder } from "./folder.ts";
import { type FrozenFormat, frozenBytes, loadFrozenParameters } from "./frozen-parameters.ts";
import { writeSafetensors } from "./safetensors.ts";
import { writeTinyModel } from "./testing/tiny-adapter.ts";

const engine = onnxRuntimeEngine({ threads: 2 });
const sizes = { width: 8, layers: 2, heads: 2, feedForwardWidth: 12, vocabularySize: 10, contextLength: 32 };
const untied = newLlama({ ...sizes, tiedEmbeddings: false });
const tied = newLlama({ ...sizes, tiedEmbeddings: true });
const matrix = "model.layers.0.mlp.down_proj.weight";
let path: string;

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "tokenwise-frozen-"));
});
afterEach(() => rm(path, { recursive: true }));

const load = (folder: ModelFolder, format: FrozenFormat = "stored") => loadFrozenParameters(engine, folder, format);
const numbers = (value: Value) => (value.format ? widened(value) : value.data);

describe.each([
  ["float32", untied, "float", []],
  ["float32", tied, "float", []],
  ["bfloat16", untied, "bfloat16", ["lm_head.weight"]],
  ["bfloat16", tied, "bfloat16", ["model.embed_tokens.weight"]],
] as const)("a model stored in %s", (dtype, configuration, matrices, wideMatrices) => {
  test(`keeps its matrices as they are; head and norms are floats (tied: ${configuration.tiedEmbeddings})`, async () => {
    const folder = await openModelFolder(await writeTinyModel(path, dtype, configuration));
    const loaded = await load(folder);
    expect(loaded.matrices).toBe(matrices);
    for (const [name, shape] of parameterShapes(architectureOf(configuration))) {
      const value = loaded.parameters.get(name)!;
      expect(value.shape).toEqual(shape);
      const float = dtype === "float32" || shape.length === 1 || wideMatrices.includes(name as never);
      expect([name, value.format]).toEqual([name, float ? undefined : "bfloat16"]);
      expect([...numbers(value)]).toEqual([...(await folder.read(name))]);
    }
    const own = loaded.memory.reduce((sum, { data }) => sum + data.byteLength, 0);
    expect(frozenBytes(folder, "stored")).toBe(own);
    expect(own === 0).toBe(dtype === "float32");
  });
});

test("float16 that no page boundary or alignment helps is read instead of mapped", async () => {
  await writeTinyModel(path, "float32", untied);
  const plain = await openModelFolder(path);
  const tensors = [];
  for (const [name, shape] of parameterShapes(architectureOf(untied))) {
    tensors.push({ name, shape, data: Uint16Array.from(await plain.read(name), (_, index) => 0x3c00 + index) });
  }
  const file = join(path, "model.safetensors");
  await writeSafetensors(file, tensors);
  const written = await readFile(file);
  const headerBytes = Number(written.readBigUInt64LE());
  // The type that these bit patterns have, and a header one byte longer, so that all the data is at
  // odd places.
  const header = `${written
    .toString("utf8", 8, 8 + headerBytes)
    .trimEnd()
    .replaceAll('"U16"', '"F16"')} `;
  const odd = header.length % 2 === 0 ? `${header} ` : header;
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(odd.length));
  await writeFile(file, Buffer.concat([length, Buffer.from(odd), written.subarray(8 + headerBytes)]));
  const folder = await openModelFolder(path);
  expect(folder.parameters.get(matrix)!.offset % 2).toBe(1);
  const { parameters: weights, matrices } = await load(folder);
  expect(matrices).toBe("float16");
  expect([...numbers(weights.get(matrix)!)]).toEqual([...(await folder.read(matrix))]);
});

test("in 4 bits a matrix takes little more than an eighth, and is near what it was", async () => {
  const configuration = newLlama({ ...sizes, width: 128, feedForwardWidth: 256, tiedEmbeddings: false });
  const folder = await openModelFolder(await writeTinyModel(path, "bfloat16", configuration));
  const { parameters: weights, matrices, memory } = await load(folder, "int4");
  expect(matrices).toBe("int4");
  const [packed, scales] = [weights.get(matrix)!, weights.get(`${matrix}.scales`)!];
  expect(packed.data.byteLength + scales.data.byteLength).toBe((128 * 256) / 2 + 4 * 128 * 4);
  const all = [...weights.values()].filter(({ format }) => format === "int4");
  expect(all).toHaveLength(14);
  const quantised = [...weights].filter(([name, { format }]) => format === "int4" || name.endsWith(".scales"));
  const bytes = quantised.reduce((sum, [, { data }]) => sum + data.byteLength, 0);
  const read = memory.reduce((sum, { data }) => sum + data.byteLength, 0);
  expect(frozenBytes(folder, "int4")).toBe(bytes + read);
});

describe("a number that is not finite is named", () => {
  test.each([
    ["float32", Float32Array.of(Number.NaN)],
    ["bfloat16", Uint16Array.of(0xff80)],
  ] as const)("in %s", async (dtype, bad) => {
    await writeTinyModel(path, dtype, untied);
    const { offset } = (await openModelFolder(path)).parameters.get(matrix)!;
    const file = join(path, "model.safetensors");
    const bytes = await readFile(file);
    bytes.set(new Uint8Array(bad.buffer), offset + 3 * bad.BYTES_PER_ELEMENT);
    await writeFile(file, bytes);
    await expect(load(await openModelFolder(path))).rejects.toThrow(`${matrix}: is not finite at index 3 of [8,12]`);
  });
});
