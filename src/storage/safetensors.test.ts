import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSafetensors, readStored, readTensor, writeSafetensors } from "./safetensors.ts";

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "safetensors-"));
  file = join(folder, "file.safetensors");
});
afterAll(() => rm(folder, { recursive: true }));

/** Writes a file from its parts, with the header's true length unless another is given. */
async function write(header: string | object, data: Uint8Array | number, length?: bigint): Promise<void> {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(text.length));
  await writeFile(file, Buffer.concat([start, text, typeof data === "number" ? Buffer.alloc(data) : data]));
}

const floats = (shape: number[], begin: number, end: number, dtype = "F32") => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

const manyTensors = (count: number) =>
  `{${Array.from({ length: count }, (_, index) => `"${index}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`)}}`;

describe("reading", () => {
  test("converts every float format, at unaligned offsets", async () => {
    const header = {
      __metadata__: { format: "pt" },
      byte: floats([1], 0, 1, "U8"),
      half: floats([2], 1, 5, "F16"),
      brain: floats([2], 5, 9, "BF16"),
      single: floats([1, 2], 9, 17),
      double: floats([], 17, 25, "F64"),
      none: floats([0, 4], 25, 25),
    };
    const data = Buffer.alloc(25);
    data.writeUInt16LE(0x3c00, 1);
    data.writeUInt16LE(0xc000, 3);
    data.writeUInt16LE(0x3f80, 5);
    data.writeUInt16LE(0xc049, 7);
    data.writeFloatLE(1.5, 9);
    data.writeFloatLE(-2.5, 13);
    data.writeDoubleLE(0.1, 17);
    await write(header, data);
    const opened = await openSafetensors(file);
    expect(opened.metadata).toEqual({ format: "pt" });
    const start = 8 + JSON.stringify(header).length;
    expect(opened.tensors.get("single")).toEqual({ dtype: "F32", shape: [1, 2], offset: start + 9, bytes: 8 });
    expect([...(await readTensor(opened, "half"))]).toEqual([1, -2]);
    expect([...(await readTensor(opened, "brain"))]).toEqual([1, -3.140625]);
    expect([...(await readTensor(opened, "single"))]).toEqual([1.5, -2.5]);
    expect([...(await readTensor(opened, "double"))]).toEqual([Math.fround(0.1)]);
    expect([...(await readTensor(opened, "none"))]).toEqual([]);
    await expect(readTensor(opened, "byte")).rejects.toThrow("byte: holds U8 numbers, not floats");
    await expect(readTensor(opened, "other")).rejects.toThrow("other: no such tensor");
  });

  test("fills a destination inside a larger array, which must be as long", async () => {
    await writeSafetensors(file, [{ name: "a", shape: [2], data: new Float32Array([1, 2]) }]);
    const opened = await openSafetensors(file);
    const whole = new Float32Array(4);
    await readTensor(opened, "a", whole.subarray(1, 3));
    expect([...whole]).toEqual([0, 1, 2, 0]);
    await expect(readTensor(opened, "a", whole)).rejects.toThrow(RangeError);
  });

  test.each([{}, { dtype: "bfloat16" as const }])("reads in pieces: %o", async (options) => {
    const data = Float32Array.from({ length: 2_500_001 }, (_, index) => index % 251);
    await writeSafetensors(file, [{ name: "a", shape: [data.length], data }], options);
    const read = await readTensor(await openSafetensors(file), "a");
    expect(read.every((value, index) => value === data[index])).toBe(true);
    data[2_400_000] = Number.NEGATIVE_INFINITY;
    await writeSafetensors(file, [{ name: "a", shape: [data.length], data }], options);
    const reading = readTensor(await openSafetensors(file), "a");
    await expect(reading).rejects.toThrow(/a: -Infinity at index 2400000 of \[2500001\]/);
  });

  test("gives a range of the numbers as they are stored", async () => {
    const tensors = [
      { name: "a", shape: [2, 2], data: new BigInt64Array([1n, 2n, 3n, 2n ** 60n]) },
      { name: "b", shape: [3], data: new Int32Array([4, 5, 6]) },
    ];
    await writeSafetensors(file, tensors);
    const opened = await openSafetensors(file);
    expect(await readStored(opened, "a", { start: 2 })).toEqual(new BigInt64Array([3n, 2n ** 60n]));
    expect(await readStored(opened, "b", { start: 1, end: 2 })).toEqual(new Int32Array([5]));
    expect(await readStored(opened, "b", { start: 3 })).toEqual(new Int32Array());
    for (const range of [{ end: 4 }, { start: -1 }, { start: 2, end: 1 }, { start: Number.NaN }]) {
      await expect(readStored(opened, "b", range)).rejects.toThrow(RangeError);
    }
  });

  test("notices a file that was cut after it was opened", async () => {
    await write({ a: floats([4], 0, 16) }, 16);
    const opened = await openSafetensors(file);
    await write({ a: floats([4], 0, 16) }, 8);
    await expect(readTensor(opened, "a")).rejects.toThrow("became shorter");
  });
});

describe("refuses", () => {
  test.each<[string, string | object, number, RegExp, bigint?]>([
    ["a cut file", { a: floats([4], 0, 16) }, 12, /cut off: \d+ bytes where its header describes \d+; copy/],
    ["a rest", { a: floats([4], 0, 16) }, 17, /1 bytes after the last tensor/],
    [
      "two tensors of one name",
      '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":1}',
      0,
      /the key "a" occurs twice/,
    ],
    [
      "a dtype twice",
      '{"a":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
      0,
      /"dtype" occurs twice/,
    ],
    ["a dtype of megabytes", { a: floats([1], 0, 4, "F".repeat(5e6)) }, 4, /a: unknown dtype "F{79}…$/],
    [
      "a dtype that is nested deep",
      `{"a":{"dtype":${"[".repeat(8000)}${"]".repeat(8000)}}}`,
      4,
      /nested more than 100/,
    ],
    ["a million empty tensors", manyTensors(1_000_000), 0, /holds more than 250001 keys/],
    ["a hole", { a: floats([1], 0, 4), b: floats([1], 8, 12) }, 12, /b: 4 bytes before its data/],
    ["an overlap", { a: floats([2], 0, 8), b: floats([2], 4, 12) }, 12, /b: its data overlaps/],
    ["a wrong size", { a: floats([3], 0, 16) }, 16, /a: F32 \[3\] takes 12 bytes, but its data has 16/],
    ["a size beyond all numbers", { a: floats([2 ** 40, 2 ** 40], 0, 16) }, 16, /a: F32 .* takes/],
    ["an unknown dtype", { a: floats([1], 0, 4, "F33") }, 4, /a: unknown dtype "F33"/],
    ["a dtype named like a method", { a: floats([1], 0, 4, "toString") }, 4, /a: unknown dtype "toString"/],
    ["a negative length", { a: floats([-1, -1], 0, 4) }, 4, /a: shape must be whole numbers, found \[-1,-1\]/],
    ["a fraction", { a: floats([0.5, 2], 0, 4) }, 4, /a: shape must be/],
    ["offsets in the wrong order", { a: floats([1], 4, 0) }, 4, /a: data_offsets must be \[begin, end\]/],
    ["no offsets", { a: { dtype: "F32", shape: [] } }, 4, /a: data_offsets must be/],
    ["a tensor that is a number", { a: 1 }, 0, /a: the tensor has no dtype/],
    ["metadata that is not text", { __metadata__: { a: 1 } }, 0, /__metadata__: must map strings to strings/],
    ["a header that is not an object", "[]", 0, /is not a JSON object/],
    ["a header that is not JSON", "{a", 0, /not valid JSON/],
    ["a header longer than the file", "{}", 0, /not a safetensors file/, 3n],
    ["a header of absurd length", "{}", 0, /not a safetensors file/, 2n ** 63n],
  ])("%s", async (_, header, data, message, length) => {
    await write(header, data, length);
    const opening = openSafetensors(file);
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.toMatchObject({ name: "UserError", place: { file } });
  });

  test.each([
    ["an empty file", "", /not a safetensors file: it is empty; download/],
    ["a short file", "abc", /not a safetensors file/],
    ["a web page", "<!doctype html><html></html>", /is a web page, not the weights; download/],
    ["a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\n", /Git LFS pointer.*git lfs pull/],
  ])("%s", async (_, text, message) => {
    await writeFile(file, text);
    await expect(openSafetensors(file)).rejects.toThrow(message);
  });

  test("a missing file and a folder", async () => {
    await expect(openSafetensors(join(folder, "missing"))).rejects.toThrow("cannot read: no such file or folder");
    await expect(openSafetensors(folder)).rejects.toMatchObject({ name: "UserError" });
  });
});

describe("writing", () => {
  test("stores every kind of number, wider ones first, so that all are aligned", async () => {
    const tensors = [
      { name: "bytes", shape: [3], data: new Uint8Array([1, 2, 3]) },
      { name: "floats", shape: [2, 1], data: new Float32Array([1.5, Number.NaN]) },
      { name: "steps", shape: [], data: new BigInt64Array([7n]) },
      { name: "integers", shape: [2], data: new Int32Array([-1, 5]) },
      { name: "10", shape: [1], data: new Float64Array([0.1]) },
    ];
    await writeSafetensors(file, tensors, { metadata: { step: "3" } });
    const opened = await openSafetensors(file);
    expect(opened.metadata).toEqual({ step: "3" });
    expect([...opened.tensors.keys()]).toEqual(["steps", "10", "floats", "integers", "bytes"]);
    for (const { name, shape, data } of tensors) {
      expect(opened.tensors.get(name)!.shape).toEqual(shape);
      expect(opened.tensors.get(name)!.offset % data.BYTES_PER_ELEMENT).toBe(0);
      expect(await readStored(opened, name)).toEqual(data);
    }
  });

  test("gives the bytes that Hugging Face's library gives", async () => {
    await writeSafetensors(file, [{ name: "a", shape: [1], data: new Float32Array([1]) }]);
    const json = '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
    const header = json.padEnd(Math.ceil(json.length / 8) * 8);
    const expected = [header.length, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from(header), 0, 0, 0x80, 0x3f];
    expect([...(await readFile(file))]).toEqual(expected);
  });

  test("rounds to bfloat16 on request, and only floats", async () => {
    const tensors = [
      { name: "a", shape: [2], data: new Float32Array([1, 1 + 2 ** -8]) },
      { name: "b", shape: [1], data: new Int32Array([9]) },
      { name: "c", shape: [1], data: new Float64Array([1 + 2 ** -30]) },
    ];
    await writeSafetensors(file, tensors, { dtype: "float32" });
    expect(await readStored(await openSafetensors(file), "c")).toEqual(new Float32Array([1]));
    await writeSafetensors(file, tensors, { dtype: "bfloat16" });
    const opened = await openSafetensors(file);
    expect(await readStored(opened, "a")).toEqual(new Uint16Array([0x3f80, 0x3f80]));
    expect(await readStored(opened, "b")).toEqual(new Int32Array([9]));
    expect(await readStored(opened, "c")).toEqual(new Uint16Array([0x3f80]));
  });

  test("stores a tensor that comes in pieces, which must be as long as its shape says", async () => {
    async function* pieces(...parts: number[][]) {
      for (const part of parts) yield new Uint8Array(part);
    }
    const streamed = { name: "a", shape: [2], dtype: "I32" as const, pieces: pieces([1, 0, 0], [], [0, 2, 0, 0, 0]) };
    await writeSafetensors(file, [streamed, { name: "b", shape: [1], data: new Float64Array([3]) }]);
    const opened = await openSafetensors(file);
    expect(await readStored(opened, "a")).toEqual(new Int32Array([1, 2]));
    expect(await readStored(opened, "b")).toEqual(new Float64Array([3]));
    const short = { ...streamed, pieces: pieces([1, 0, 0, 0]) };
    await expect(writeSafetensors(file, [short])).rejects.toThrow("a: I32 [2] takes 8 bytes, not 4");
    expect(await readdir(folder)).toEqual(["file.safetensors"]);
  });

  test("refuses a shape that does not fit and a name twice, leaving the old file", async () => {
    const tensor = { name: "a", shape: [1], data: new Float32Array([1]) };
    await writeSafetensors(file, [tensor]);
    await expect(writeSafetensors(file, [{ ...tensor, shape: [2] }])).rejects.toThrow(
      "a: F32 [2] takes 8 bytes, not 4",
    );
    await expect(writeSafetensors(file, [tensor, tensor])).rejects.toThrow("one name");
    expect([...(await readTensor(await openSafetensors(file), "a"))]).toEqual([1]);
    expect(await readdir(folder)).toEqual(["file.safetensors"]);
  });
});
