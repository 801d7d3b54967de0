import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { writeByteTokenizer } from "./byte-tokenizer.ts";
import { loadTokenizer } from "./load-tokenizer.ts";
import { RememberedTokens } from "./remembered-tokens.ts";
import { tokenIds } from "./testing/token-ids.ts";
import { TokenCache } from "./token-cache.ts";
import type { TextRequest, Tokenizer } from "./tokenizer.ts";

let folder: string;
let path: string;
let plain: Tokenizer;
/** Texts that a tokenizer had to do the work for. */
let worked: string[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-remembered-"));
  await writeByteTokenizer(folder);
  const loaded = await loadTokenizer(folder);
  plain = {
    ...loaded,
    encode: async (texts) => {
      worked.push(...texts.map(({ text, continues }) => (continues ? `…${text}` : text)));
      const ids = await loaded.encode(texts);
      return texts.map(({ continues }, index) => (continues ? Int32Array.of(0, ...ids[index]!) : ids[index]!));
    },
  };
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  path = await mkdtemp(join(folder, "cache-"));
  worked = [];
});

const open = (tokenizer = plain, leastCharacters = 0) =>
  new RememberedTokens(tokenizer, new TokenCache({ path, named: true }, () => {}), { leastCharacters });
const begins = (...texts: string[]): TextRequest[] => texts.map((text) => ({ text, continues: false }));
const continues = (...texts: string[]): TextRequest[] => texts.map((text) => ({ text, continues: true }));
const files = () => readdir(join(path, "tokens")).catch(() => []);

/** Encodes columns and keeps them; the ids. */
async function encodeAll(columns: TextRequest[][], tokens = open()): Promise<number[][]> {
  await tokens.expect(columns);
  const ids: Int32Array[] = [];
  // One after the other, so that what is asked for twice is seen.
  for (const request of columns.flat()) ids.push(...(await tokens.tokenizer.encode([request])));
  await tokens.keep();
  return ids.map((list) => Array.from(list));
}

test("each text is tokenized once, in this run and in later ones, with the same ids", async () => {
  const columns = [begins("ab", "", "ab"), continues("ab", "é")];
  const ids = await encodeAll(columns);
  expect(ids).toEqual([[97, 98], [], [97, 98], [0, 97, 98], [0, 195, 169]]);
  expect(worked).toEqual(["ab", "", "…ab", "…é"]);
  worked = [];
  expect(await encodeAll(columns)).toEqual(ids);
  expect(worked).toEqual([]);
});

test("columns are found in whatever company and order", async () => {
  await encodeAll([begins("p"), continues("c"), continues("r")]);
  worked = [];
  await encodeAll([begins("p"), continues("r"), continues("c")]);
  await encodeAll([continues("r")]);
  expect(worked).toEqual([]);
  expect(await files()).toHaveLength(3);
});

test.each([
  ["another text", begins("ab", "d"), {}],
  ["one more", begins("ab", "c", "d"), {}],
  ["one less", begins("ab"), {}],
  ["texts divided elsewhere", begins("a", "bc"), {}],
  ["another order", begins("c", "ab"), {}],
  ["continuing texts", continues("ab", "c"), {}],
  ["another tokenizer", begins("ab", "c"), { fingerprint: "another" }],
])("%s is another column", async (_, column, change) => {
  await encodeAll([begins("ab", "c")]);
  worked = [];
  await encodeAll([column], open({ ...plain, ...change }));
  expect(worked).toHaveLength(column.length);
  expect(await files()).toHaveLength(2);
});

test("a column that was not tokenized whole is not kept, and unexpected texts are tokenized as ever", async () => {
  const tokens = open();
  await tokens.expect([begins("ab", "c")]);
  expect(await tokenIds(tokens.tokenizer, "ab")).toEqual([97, 98]);
  expect(await tokenIds(tokens.tokenizer, "other")).toEqual([..."other"].map((letter) => letter.charCodeAt(0)));
  await tokens.keep();
  expect(await files()).toEqual([]);
});

test("small data is not kept, and without a cache nothing is", async () => {
  await encodeAll([begins("ab"), begins("c")], open(plain, 4));
  await encodeAll([begins("ab"), begins("c")], new RememberedTokens(plain, undefined, { leastCharacters: 0 }));
  expect(await files()).toEqual([]);
  expect(worked).toHaveLength(4);
  await encodeAll([begins("ab"), begins("c")], open(plain, 3));
  expect(await files()).toHaveLength(2);
});

test("errors of the tokenizer come where they came before, and nothing is kept", async () => {
  const tokens = open({
    ...plain,
    encode: () => {
      throw new Error("no token");
    },
  });
  await tokens.expect([begins("ab")]);
  await expect(tokenIds(tokens.tokenizer, "ab")).rejects.toThrow("no token");
  await tokens.keep();
  expect(await files()).toEqual([]);
});
