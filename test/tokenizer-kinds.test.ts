import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { rustLibrary } from "../src/data/tokens/rust-library.ts";
import { typescriptLibrary } from "../src/data/tokens/typescript-library.ts";
import { differences, golden, goldenDefinition, goldenTexts, tokenizerOf } from "./helpers/golden-tokenizers.ts";

/** What browsers refuse, and the part that is named. */
const refusedInBrowsers: Readonly<Record<string, RegExp>> = {
  "split-isolated-invert": /pre_tokenizer\.pretokenizers\.0\.invert: true/,
  "split-merged-with-previous": /behavior: "MergedWithPrevious"/,
  "split-merged-with-previous-invert": /behavior: "MergedWithPrevious"/,
  "split-merged-with-next": /behavior: "MergedWithNext"/,
  "split-merged-with-next-invert": /behavior: "MergedWithNext"/,
  "split-contiguous": /behavior: "Contiguous"/,
  "split-contiguous-invert": /behavior: "Contiguous"/,
  "word-ends": /normalizer: "Lowercase"/,
  "unigram-bytes": /model\.byte_fallback: true/,
  t5: /normalizer: "Precompiled"/,
  bert: /normalizer: "BertNormalizer"/,
  "bert-cased": /normalizer: "BertNormalizer"/,
  words: /pre_tokenizer: "Whitespace"/,
  "words-split": /normalizer: "Strip"/,
  "digits-punctuation": /pretokenizers\.0: "Digits"/,
  "punctuation-digits": /pretokenizers\.0: "Punctuation"/,
  normalizers: /normalizers\.1: "Lowercase"/,
  added: /normalizer: "Lowercase"/,
};

describe.each(Object.keys(golden))("%s", (kind) => {
  test("in Node: ids and texts are those of Python's tokenizers", async () => {
    const { some, ...found } = await differences(kind, rustLibrary());
    expect(some).toEqual(Object.values(golden[kind]!.some));
    expect(found).toEqual({ ids: [], texts: [] });
  });

  const part = refusedInBrowsers[kind];
  test(`in browsers: ${part ? "refused, with the part" : "the same"}`, async () => {
    const found = differences(kind, typescriptLibrary());
    if (part) await expect(found).rejects.toThrow(new RegExp(`${part.source}.* is not supported in browsers`));
    else expect(await found).toMatchObject({ ids: [], texts: [] });
  });
});

describe("browsers refuse", () => {
  const gpt2 = goldenDefinition("gpt2") as { added_tokens: object[]; model: object; pre_tokenizer: object };
  const [token, ...others] = gpt2.added_tokens;
  test.each([
    ["added tokens that are words", { added_tokens: [{ ...token, single_word: true }, ...others] }, /0\.single_word/],
    ["added tokens with the space before", { added_tokens: [{ ...token, lstrip: true }, ...others] }, /0\.lstrip/],
    [
      "a prefix space of bytes",
      { pre_tokenizer: { ...gpt2.pre_tokenizer, add_prefix_space: true } },
      /add_prefix_space/,
    ],
    ["an option that is not known", { pre_tokenizer: { ...gpt2.pre_tokenizer, other: 1 } }, /pre_tokenizer\.other: 1/],
    ["prefixes of parts", { model: { ...gpt2.model, continuing_subword_prefix: "##" } }, /continuing_subword_prefix/],
    [
      "patterns that may run away",
      { normalizer: { type: "Replace", pattern: { Regex: "(?:a+)+$" }, content: "" } },
      /normalizer\.pattern/,
    ],
    ["a $ in what replaces", { normalizer: { type: "Replace", pattern: { String: "a" }, content: "$1" } }, /content/],
  ])("%s", async (_, change, part) => {
    await expect(tokenizerOf({ ...gpt2, ...change }, typescriptLibrary())).rejects.toThrow(part);
  });

  test("texts that are too long for them", async () => {
    const tokenizer = await tokenizerOf(gpt2, typescriptLibrary());
    const request = [{ text: "a".repeat(50_001), continues: false }];
    await expect(tokenizer.encode(request)).rejects.toThrow(
      /50001 characters; up to 50000 can be tokenized in a browser/,
    );
  });
});

test.each(Object.keys(golden).filter((kind) => !/^split/.test(kind)))(
  "%s: 120,000 tokens and more in Node",
  async (kind) => {
    const tokenizer = await tokenizerOf(goldenDefinition(kind), rustLibrary());
    const texts = ["good film ".repeat(60_000), "é".repeat(200_000)].map((text) => ({ text, continues: false }));
    const [words, letters] = await tokenizer.encode(texts);
    expect(words!.length).toBeGreaterThanOrEqual(120_000);
    expect(letters!.length).toBeGreaterThanOrEqual(1);
  },
);

test("what browsers load imports nothing of Node's", () => {
  const seen = new Set<string>();
  const visit = (file: URL) => {
    if (seen.has(file.href)) return;
    seen.add(file.href);
    const text = readFileSync(file, "utf8").replace(/^import type .*$/gm, "");
    expect(text, file.pathname).not.toMatch(/from "node:|import\("node:/);
    for (const [, path] of text.matchAll(/from "(\.[^"]+)"/g)) visit(new URL(path!, file));
  };
  for (const file of ["tokenizer", "typescript-library"])
    visit(new URL(`../src/data/tokens/${file}.ts`, import.meta.url));
  expect(seen.size).toBeGreaterThan(8);
});

test("the texts are many and various", () => {
  expect(goldenTexts.length).toBeGreaterThan(2000);
  const all = goldenTexts.join("");
  for (const script of "Latin Cyrillic Greek Han Hiragana Hangul Arabic Hebrew Devanagari Thai".split(" "))
    expect(new RegExp(`\\p{Script=${script}}`, "u").test(all), script).toBe(true);
});
