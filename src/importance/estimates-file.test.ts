import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type NamedTensor, openSafetensors, writeSafetensors } from "../storage/safetensors.ts";
import type { PairEstimate } from "./estimate.ts";
import { type EstimatesFile, exportEstimates, openEstimates, readEstimates } from "./estimates-file.ts";
import { EstimatesWriter } from "./estimates-writer.ts";

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "estimates-"));
  file = join(folder, "estimates.safetensors");
});
afterAll(() => rm(folder, { recursive: true }));

const identity = { positive: "a1", negative: "b2" };
const metadata = { format: "tokenwise token estimates", version: "1", ...identity };

/** The tensors of two pairs, to be written as they are or with changes. */
const tensors: Record<string, NamedTensor["data"]> = {
  "prompt.offsets": new BigInt64Array([0n, 2n, 3n]),
  "chosen.offsets": new BigInt64Array([0n, 1n, 3n]),
  "rejected.offsets": new BigInt64Array([0n, 1n, 2n]),
  "prompt.tokens": new Int32Array([1, 2, 3]),
  "chosen.tokens": new Int32Array([10, 11, 12]),
  "chosen.positive_logps": new Float32Array([-0.5, -1, -2]),
  "chosen.negative_logps": new Float32Array([-1.25, -1, -0.1]),
  "rejected.tokens": new Int32Array([20, 21]),
  "rejected.positive_logps": new Float32Array([-4, -5]),
  "rejected.negative_logps": new Float32Array([-6, -7]),
};

const pairs: PairEstimate[] = [
  {
    prompt: new Int32Array([1, 2]),
    chosen: response([10], [-0.5], [-1.25]),
    rejected: response([20], [-4], [-6]),
  },
  {
    prompt: new Int32Array([3]),
    chosen: response([11, 12], [-1, -2], [-1, -0.1]),
    rejected: response([21], [-5], [-7]),
  },
];

function response(tokens: number[], positive: number[], negative: number[]): PairEstimate["chosen"] {
  return {
    tokens: Int32Array.from(tokens),
    positiveLogp: Float32Array.from(positive),
    negativeLogp: Float32Array.from(negative),
  };
}

async function write(changes: Record<string, NamedTensor["data"] | undefined> = {}, meta = metadata): Promise<void> {
  const list = Object.entries({ ...tensors, ...changes }).flatMap(([name, data]) =>
    data ? [{ name, shape: [data.length], data }] : [],
  );
  await writeSafetensors(file, list, { metadata: meta });
}

async function read(estimates: EstimatesFile, range?: { start?: number; end?: number }): Promise<PairEstimate[]> {
  const found: PairEstimate[] = [];
  for await (const pair of readEstimates(estimates, range)) found.push(pair);
  return found;
}

describe("reading", () => {
  beforeEach(() => write());

  test("gives identity, pairs, and ranges of pairs", async () => {
    const estimates = await openEstimates(file);
    expect(estimates).toMatchObject({ file, identity, pairs: 2 });
    expect(await read(estimates)).toEqual(pairs);
    expect(await read(estimates, { start: 1 })).toEqual([pairs[1]]);
    expect(await read(estimates, { end: 1 })).toEqual([pairs[0]]);
    expect(await read(estimates, { start: 2 })).toEqual([]);
    for (const range of [{ end: 3 }, { start: -1 }, { start: 2, end: 1 }]) {
      await expect(read(estimates, range)).rejects.toThrow(RangeError);
    }
  });

  test("a writer makes the same file", async () => {
    const written = join(folder, "written.safetensors");
    const writer = await EstimatesWriter.open(written, identity, 2);
    await writer.append(pairs);
    await writer.finish();
    expect(await readFile(written)).toEqual(await readFile(file));
    await rm(written);
  });

  test.each([
    ["chosen", "positive", Number.NaN],
    ["rejected", "negative", Number.NEGATIVE_INFINITY],
  ])("gives the pairs before a wrong number: %s, %s model: %d", async (side, model, value) => {
    const name = `${side}.${model}_logps`;
    const data = Float32Array.from(tensors[name] as Float32Array);
    data[data.length - 1] = value;
    await write({ [name]: data });
    const estimates = await openEstimates(file);
    expect(await read(estimates, { end: 1 })).toEqual([pairs[0]]);
    const message = `pair 2, ${side}: the ${model} model gives token ${side === "chosen" ? 2 : 1} the log-probability`;
    await expect(read(estimates)).rejects.toThrow(`${file}: ${message} ${value}`);
    await expect(read(estimates, { start: 1 })).rejects.toMatchObject({ name: "UserError" });
  });

  test("notices a file that was cut after it was opened", async () => {
    const estimates = await openEstimates(file);
    await truncate(file, 600);
    await expect(read(estimates)).rejects.toThrow("became shorter");
  });
});

describe("refuses", () => {
  test.each<[string, Parameters<typeof write>[0], RegExp]>([
    ["a missing tensor", { "chosen.tokens": undefined }, /chosen\.tokens: is missing; estimate again/],
    ["another dtype", { "chosen.positive_logps": new Float64Array(3) }, /chosen\.positive_logps: must be F32 of one/],
    ["missing offsets", { "rejected.offsets": undefined }, /rejected\.offsets: is missing/],
    ["offsets of another dtype", { "prompt.offsets": new Int32Array(3) }, /prompt\.offsets: must be I64 of one/],
    ["no pair", { "prompt.offsets": new BigInt64Array([0n]) }, /prompt\.offsets: holds no pair/],
    ["no offsets", { "prompt.offsets": new BigInt64Array() }, /prompt\.offsets: holds no pair/],
    ["another begin", { "prompt.offsets": new BigInt64Array([1n, 2n, 3n]) }, /prompt\.offsets: must begin with 0/],
    ["offsets that fall", { "chosen.offsets": new BigInt64Array([0n, 4n, 3n]) }, /chosen\.offsets: pair 2 ends at 3/],
    ["an empty answer", { "chosen.offsets": new BigInt64Array([0n, 0n, 3n]) }, /chosen\.offsets: pair 1 ends at 0/],
    ["a rest", { "prompt.offsets": new BigInt64Array([0n, 1n, 2n]) }, /prompt\.tokens: holds 3 .*offsets ends at 2/],
    ["a short tensor", { "rejected.negative_logps": new Float32Array(1) }, /rejected\.negative_logps: holds 1 numbers/],
    ["other counts", { "prompt.offsets": new BigInt64Array([0n, 3n]) }, /rejected are of 1, 2, 2 pairs/],
  ])("%s", async (_, changes, message) => {
    await write(changes);
    const opening = openEstimates(file);
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.toMatchObject({ name: "UserError", place: { file } });
  });

  test("a tensor of two dimensions", async () => {
    const list = Object.entries(tensors).map(([name, data]) => ({ name, shape: [data.length, 1], data }));
    await writeSafetensors(file, list, { metadata });
    await expect(openEstimates(file)).rejects.toThrow("prompt.offsets: must be I64 of one dimension, not I64 [3,1]");
  });

  test("weights of a model, and another version", async () => {
    await writeSafetensors(file, [{ name: "lm_head.weight", shape: [1, 1], data: new Float32Array(1) }]);
    await expect(openEstimates(file)).rejects.toThrow("holds no token estimates; it may be the weights of a model");
    await write({}, { ...metadata, version: "2" });
    await expect(openEstimates(file)).rejects.toThrow("has version 2 of the format, only 1 is known");
  });

  test("a file cut anywhere, unfinished estimates, text and nothing", async () => {
    await write();
    const bytes = await readFile(file);
    const start = (await openSafetensors(file)).tensors.get("prompt.offsets")!.offset;
    for (const length of [0, 7, 8, start - 1, start, start + 1, bytes.length - 1]) {
      await writeFile(file, bytes.subarray(0, length));
      await expect(openEstimates(file)).rejects.toMatchObject({ name: "UserError" });
    }
    const writer = await EstimatesWriter.open(file, identity, 2);
    await writer.close();
    await expect(openEstimates(`${file}.partial`)).rejects.toThrow("not a safetensors file");
    await expect(openEstimates(join(folder, "none"))).rejects.toThrow("no such file");
    await rm(`${file}.partial`);
  });
});

describe("exporting", () => {
  test("writes a line for each pair", async () => {
    await write();
    const output = join(folder, "deep/estimates.jsonl");
    await exportEstimates(await openEstimates(file), output);
    const lines = (await readFile(output, "utf8")).split("\n");
    expect(lines.pop()).toBe("");
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        prompt_tokens: [1, 2],
        chosen_tokens: [10],
        chosen_log_ratios: [0.75],
        chosen_positive_logps: [-0.5],
        chosen_negative_logps: [-1.25],
        rejected_tokens: [20],
        rejected_log_ratios: [2],
        rejected_positive_logps: [-4],
        rejected_negative_logps: [-6],
      },
      {
        prompt_tokens: [3],
        chosen_tokens: [11, 12],
        chosen_log_ratios: [0, Math.fround(0.1) - 2],
        chosen_positive_logps: [-1, -2],
        chosen_negative_logps: [-1, -Math.fround(0.1)],
        rejected_tokens: [21],
        rejected_log_ratios: [2],
        rejected_positive_logps: [-5],
        rejected_negative_logps: [-7],
      },
    ]);
    await rm(join(folder, "deep"), { recursive: true });
  });

  test("leaves nothing where a number is wrong", async () => {
    await write({ "rejected.positive_logps": new Float32Array([-4, Number.NaN]) });
    const exporting = exportEstimates(await openEstimates(file), join(folder, "estimates.jsonl"));
    await expect(exporting).rejects.toThrow("pair 2, rejected");
    expect(await readdir(folder)).toEqual(["estimates.safetensors"]);
  });
});
