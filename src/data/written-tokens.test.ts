import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tokenizeChosen, tokenizePairs, tokenizeTexts } from "./tokenize.ts";
import { endOfText, writeByteTokenizer } from "./tokens/byte-tokenizer.ts";
import { loadTokenizer } from "./tokens/load-tokenizer.ts";
import type { Tokenizer } from "./tokens/tokenizer.ts";
import { WrittenTokens } from "./written-tokens.ts";

const end = 256;
let folder: string;
let tokenizer: Tokenizer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-written-"));
  await writeByteTokenizer(folder);
  tokenizer = await loadTokenizer(folder);
});
afterAll(() => rm(folder, { recursive: true }));

const pairs = [
  ["Q", "yes", "no"],
  ["Q", `a ${endOfText} b`, `c${endOfText}`],
  [`${endOfText}Q`, "yes", `${endOfText}${endOfText}no`],
  ["", "yes", "no"],
].map(([prompt, chosen, rejected], index) => ({
  ...{ prompt: prompt!, chosen: chosen!, rejected: rejected! },
  place: { file: "pairs.jsonl", line: index + 1 },
}));
const said = async (written: Promise<{ written: WrittenTokens }>) => WrittenTokens.inWords([(await written).written]);

test("answers and prompts are counted, with the first place; an end at the end of an answer is none", async () => {
  expect(await said(tokenizePairs(pairs, tokenizer))).toBe(
    '2 answers and 1 prompt hold special tokens written out, first "<|endoftext|>" at pairs.jsonl:2; ' +
      "they are read as tokens: `data.specialTokens: text` reads them as plain text",
  );
  expect(await said(tokenizeChosen(pairs.slice(0, 2), tokenizer))).toMatch(/^1 answer holds special tokens/);
  expect(await said(tokenizePairs([pairs[0]!, pairs[3]!], tokenizer))).toBeUndefined();
});

test("a BOS that the tokenizer adds, or a text begins with, does not count where it is added", async () => {
  const adding = { ...tokenizer, addsBos: true };
  expect(await said(tokenizePairs([pairs[0]!], adding))).toBeUndefined();
});

test("texts, packed or not", async () => {
  const texts = ["ab", `a${endOfText}b`, `ab${endOfText}`].map((text, index) => ({
    ...{ text, place: { file: "texts.jsonl", line: index + 1 } },
  }));
  for (const pack of [false, true])
    expect(await said(tokenizeTexts(texts, tokenizer, { pack }))).toMatch(/^1 text holds .* at texts\.jsonl:2;/);
});

test("they can be errors, or plain text", async () => {
  await expect(tokenizePairs(pairs, tokenizer, { specialTokens: "error" })).rejects.toThrow(
    'pairs.jsonl:2: the answer holds the special token "<|endoftext|>" written out; `data.specialTokens` says',
  );
  const plain = await tokenizer.readingSpecialTokensAsText();
  const { examples, written } = await tokenizePairs(pairs, plain, { specialTokens: "text" });
  expect(WrittenTokens.inWords([written])).toBeUndefined();
  expect([...examples[1]!.responses[0]!]).toEqual([...Buffer.from(pairs[1]!.chosen), end]);
});
