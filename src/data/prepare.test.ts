import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createObjective } from "../objectives/index.ts";
import { recipeSchema } from "../recipe/schema.ts";
import type { TokenizedExample } from "./example.ts";
import { prepareExamples } from "./prepare.ts";
import { writeByteTokenizer } from "./tokens/byte-tokenizer.ts";
import { loadTokenizer } from "./tokens/load-tokenizer.ts";
import type { Tokenizer } from "./tokens/tokenizer.ts";

let folder: string;
let cache: string;
let pairsFile: string;
let tokenizer: Tokenizer;
/** How many texts had to be tokenized. */
let worked: number;

const count = 300;
const sentence = "The quick brown fox jumps over the lazy dog. ";
const pairs = Array.from({ length: count }, (_, index) => ({
  // Some prompts are empty, some repeat, and some answers are the same tokens once their ends are
  // cut.
  prompt: index % 50 === 0 ? "" : `${sentence.repeat(65)}${index % 40}`,
  chosen: `${sentence.repeat(65 + (index % 3))} yes ${index}`,
  rejected: `${sentence.repeat(65 + (index % 5))} no ${index}`,
}));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-examples-"));
  await writeByteTokenizer(folder);
  tokenizer = await byteTokenizer();
  pairsFile = join(folder, "pairs.jsonl");
  const lines = [...pairs, { prompt: "bad" }].map((pair) => JSON.stringify(pair));
  await writeFile(pairsFile, lines.join("\n"));
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  cache = await mkdtemp(join(folder, "cache-"));
  vi.stubEnv("TOKENWISE_CACHE", cache);
  worked = 0;
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Gives the ids of the real one, but in a fraction of the time, and counts. */
async function byteTokenizer(): Promise<Tokenizer> {
  const encode: Tokenizer["encode"] = async (texts) => {
    worked += texts.length;
    return texts.map(({ text }) => Int32Array.from(Buffer.from(text)));
  };
  return { ...(await loadTokenizer(folder)), encode };
}

interface Change {
  data?: Record<string, unknown>;
  objective?: Parameters<typeof createObjective>[0];
  seed?: number;
  heldOutOnly?: boolean;
  tokenizer?: Tokenizer;
}

async function prepare(change: Change = {}) {
  const { objective = { name: "ipo", beta: 0.1 }, heldOutOnly = false, seed = 0 } = change;
  const data = recipeSchema.shape.data.parse({
    ...{ train: pairsFile, heldOut: 20, onBadPair: "skip", maxLength: 1000 },
    ...change.data,
  });
  const settings = { data, seed, evaluation: { atStart: true, examples: 10, samples: 0 } };
  const limits = { contextLength: 4096, vocabularySize: tokenizer.vocabularySize };
  const { train, heldOut, ...sentences } = await prepareExamples(
    settings,
    createObjective(objective).responses,
    change.tokenizer ?? tokenizer,
    limits,
    { heldOutOnly },
  );
  return { train: train.map(inShort), heldOut: heldOut.map(inShort), ...sentences };
}

/** An example with its tokens as texts, which are compared in no time. */
function inShort({ prompt, responses, ...rest }: TokenizedExample) {
  const text = (ids: Int32Array) => `${ids.constructor.name} ${ids.join(" ")}`;
  return { prompt: text(prompt), responses: responses.map(text), ...rest };
}

/** What comes without a cache. */
async function expected(change: Change = {}) {
  vi.stubEnv("TOKENWISE_CACHE", "off");
  const examples = await prepare(change);
  vi.stubEnv("TOKENWISE_CACHE", cache);
  worked = 0;
  return examples;
}

const files = async () => (await readdir(join(cache, "tokens")).catch(() => [])).length;

test("examples, notes and warnings are the same without a cache, when it is filled, and from it", async () => {
  const plain = await expected();
  expect(plain.notes.join("\n")).toMatch(/cut to fit \(training\)/);
  expect(plain.warnings.join("\n")).toMatch(/skipped 1 bad record[\s\S]*two answers of the same tokens/);
  expect(await prepare()).toEqual(plain);
  expect(worked).toBeGreaterThan(2 * count);
  worked = 0;
  expect(await prepare()).toEqual(plain);
  expect([worked, await files()]).toEqual([0, 3]);
});

describe("once data is in the cache", () => {
  const changes: Record<string, Change> = {
    "other limits": { data: { maxLength: 4000, maxPromptLength: 100, truncation: "keep_start" } },
    "another split": { data: { heldOut: 50 }, seed: 3 },
    "columns swapped, as for a contrastive model": { data: { columns: { chosen: "rejected", rejected: "chosen" } } },
    "the rejected answers alone": {
      data: { columns: { chosen: "rejected", rejected: "chosen" } },
      objective: { name: "sft", mean: "tokens" },
    },
    "the held-out pairs of a file": { data: { evaluation: "pairs", heldOut: 0 }, heldOutOnly: true },
  };

  test.each(Object.entries(changes))("%s need no tokenizing, and come out the same", async (_, change) => {
    if (change.data?.evaluation) change.data.evaluation = pairsFile;
    const plain = await expected(change);
    await prepare();
    worked = 0;
    expect(await prepare(change)).toEqual(plain);
    expect([worked, await files()]).toEqual([0, 3]);
  });

  test("held-out pairs that are split off are tokenized without it", async () => {
    const plain = await expected({ heldOutOnly: true });
    expect(await prepare({ heldOutOnly: true })).toEqual(plain);
    expect([worked, await files()]).toEqual([plain.heldOut.length * 3, 0]);
  });

  test("a changed answer has its column tokenized again", async () => {
    const changed = join(folder, "changed.jsonl");
    const lines = (await readFile(pairsFile, "utf8")).replace(" yes 7", " yes, 7");
    await writeFile(changed, lines);
    await prepare();
    const plain = await expected({ data: { train: changed } });
    expect(await prepare({ data: { train: changed } })).toEqual(plain);
    expect([worked, await files()]).toEqual([count, 4]);
  });

  test("another tokenizer has all tokenized again", async () => {
    const encode: Tokenizer["encode"] = (texts) =>
      tokenizer.encode(texts.map(({ text, continues }) => ({ text: text.toUpperCase(), continues })));
    const change = { tokenizer: { ...tokenizer, encode, fingerprint: "another" } };
    const plain = await expected(change);
    await prepare();
    worked = 0;
    const examples = await prepare(change);
    expect(examples).toEqual(plain);
    expect(worked).toBeGreaterThan(2 * count);
    expect(await files()).toBe(6);
  });

  test("a damaged file costs a note and its column", async () => {
    const plain = await expected();
    await prepare();
    const [name] = await readdir(join(cache, "tokens"));
    await writeFile(join(cache, "tokens", name!), "damaged");
    worked = 0;
    const { notes, ...rest } = await prepare();
    const { notes: before, ...same } = plain;
    expect(rest).toEqual(same);
    const [what, ...others] = before;
    expect(notes).toEqual([what, expect.stringContaining("is damaged"), ...others]);
    expect(worked).toBeGreaterThan(0);
    expect(await prepare()).toEqual(plain);
  });
});

test("texts to learn whole are remembered, too", async () => {
  const data = { format: "text", columns: { text: "rejected" }, pack: true };
  const change: Change = { data, objective: { name: "sft", mean: "tokens" } };
  const plain = await expected(change);
  expect(await prepare(change)).toEqual(plain);
  worked = 0;
  expect(await prepare(change)).toEqual(plain);
  expect([worked, await files()]).toEqual([0, 1]);
});

test("off, or for small data, nothing is kept", async () => {
  const small = join(folder, "small.jsonl");
  await writeFile(
    small,
    pairs
      .slice(0, 50)
      .map((pair) => JSON.stringify(pair))
      .join("\n"),
  );
  await prepare({ data: { train: small } });
  vi.stubEnv("TOKENWISE_CACHE", "off");
  await prepare();
  expect(await files()).toBe(0);
});
