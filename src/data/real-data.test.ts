/**
 * The loaders on real data, where it lies beside the repository; elsewhere these tests report
 * themselves as not run.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, type TestContext, test } from "vitest";
import { readPairs } from "./forms/pairs.ts";
import { readTexts } from "./forms/text.ts";
import { tokenizePairs } from "./tokenize.ts";
import { loadTokenizer } from "./tokens/load-tokenizer.ts";

/** The path of a file beside the repository, or the end of this test. */
function sharedFile(context: TestContext, path: string): string {
  const file = fileURLToPath(new URL(`../../../shared/${path}`, import.meta.url));
  if (!existsSync(file)) context.skip(`${path} is not here`);
  return file;
}

const hh = "data/hh-rlhf/harmless-base.jsonl.gz";

test("Anthropic's HH dialogues, with their blank answers and one early parting", async (context) => {
  const file = sharedFile(context, hh);
  const { pairs, skipped, multiTurnAnswers } = await readPairs(file, { onBadPair: "skip" });
  expect([pairs.length, multiTurnAnswers.count]).toEqual([1496, 1]);
  expect(skipped.map(({ line }) => line)).toEqual([87, 517, 926, 1104]);
  await expect(readPairs(file)).rejects.toThrow(/:87: chosen: is blank/);
});

test("HH pairs through a trained tokenizer", async (context) => {
  const { pairs } = await readPairs(sharedFile(context, hh), { onBadPair: "skip" });
  const tokenizer = await loadTokenizer(sharedFile(context, "models/imdb-5m"));
  const { report } = await tokenizePairs(pairs, tokenizer, { modelVocabularySize: 4096 });
  expect(report).toMatchObject({
    examples: 1496,
    promptsCut: 108,
    responsesCut: 21,
    longestPrompt: 1162,
    longestResponse: 682,
  });
  const texts = pairs.slice(0, 300).map(({ prompt, chosen }) => ({ text: prompt + chosen, continues: false }));
  const ids = await tokenizer.encode(texts);
  for (const [index, { text }] of texts.entries()) expect(tokenizer.decode(ids[index]!)).toBe(text);
});

test("IMDb reviews in Parquet", async (context) => {
  const { texts, skipped } = await readTexts(sharedFile(context, "data/imdb/test.parquet"));
  expect([texts.length > 10_000, skipped]).toEqual([true, []]);
});
