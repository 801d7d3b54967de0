/** What the files of a tokenizer say together, and where they disagree. */
import { rm } from "node:fs/promises";
import { afterEach, describe, expect, test } from "vitest";
import { loadTokenizer } from "./load-tokenizer.ts";
import { promptIds, tokenIds } from "./testing/token-ids.ts";
import { added, lettersDefinition, template, writeTokenizer } from "./testing/write-tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";

const folders: string[] = [];
afterEach(() => Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true }))));

async function load(definition: object, files?: Record<string, object>): Promise<Tokenizer> {
  const folder = await writeTokenizer(definition, files);
  folders.push(folder);
  return loadTokenizer(folder);
}

describe("BOS is what the post-processor says", () => {
  test.each([
    ["a template", template(1, "<s>")],
    ["a sequence", { type: "Sequence", processors: [{ type: "ByteLevel" }, template(1, "<s>")] }],
    ["BERT's", { type: "BertProcessing", sep: ["</s>", 2], cls: ["<s>", 1] }],
    [
      "RoBERTa's",
      { type: "RobertaProcessing", sep: ["</s>", 2], cls: ["<s>", 1], add_prefix_space: false, trim_offsets: true },
    ],
  ])("%s", async (_, post_processor) => {
    const tokenizer = await load(lettersDefinition({ post_processor }));
    expect(tokenizer).toMatchObject({ bosId: 1, addsBos: true });
    expect(await tokenIds(tokenizer, "ab")).toEqual([3, 4]);
    expect(await promptIds(tokenizer, "ab")).toEqual([1, 3, 4]);
  });

  test("also where the vocabulary has none of the letters that one might try", async () => {
    const model = { type: "BPE", unk_token: null, vocab: { "<s>": 0, "</s>": 1, M: 2, K: 3 }, merges: [] };
    const added_tokens = [added(0, "<s>"), added(1, "</s>")];
    const tokenizer = await load(lettersDefinition({ model, added_tokens, post_processor: template(0, "<s>") }));
    expect(await promptIds(tokenizer, "MK")).toEqual([0, 2, 3]);
  });

  test("several tokens in front of a text are refused", async () => {
    const post_processor = { type: "Sequence", processors: [template(1, "<s>"), template(2, "</s>")] };
    await expect(load(lettersDefinition({ post_processor }))).rejects.toThrow(
      /tokenizer\.json: post_processor: the tokenizer puts 2 tokens in front/,
    );
  });
});

describe("tokens that only a file beside tokenizer.json lists", () => {
  const decoder = { added_tokens_decoder: { "9": added(9, "<|b|>"), "8": added(8, "<|a|>") }, eos_token: "<|a|>" };

  test("are tokens with their ids, and may end texts", async () => {
    const tokenizer = await load(lettersDefinition(), { "tokenizer_config.json": decoder });
    expect(await tokenIds(tokenizer, "a<|b|>b<|a|>")).toEqual([3, 9, 4, 8]);
    expect(tokenizer).toMatchObject({ vocabularySize: 10, eosId: 8, warnings: [] });
    expect(tokenizer.decode([3, 9])).toBe("a<|b|>");
  });

  test("in added_tokens.json, too", async () => {
    const tokenizer = await load(lettersDefinition(), { "added_tokens.json": { "<|a|>": 8 } });
    expect(await tokenIds(tokenizer, "a<|a|>b")).toEqual([3, 8, 4]);
    expect([...tokenizer.specialTokens.values()]).not.toContain("<|a|>");
  });

  test("another id than tokenizer.json's is warned of", async () => {
    const files = { "tokenizer_config.json": { added_tokens_decoder: { "9": added(9, "<s>"), "20": added(20, "x") } } };
    const tokenizer = await load(lettersDefinition(), files);
    expect(tokenizer.warnings).toEqual([
      expect.stringMatching(/tokenizer_config\.json gives "<s>" the id 9; in tokenizer\.json it is 1, which holds/),
      expect.stringMatching(/gives "x" the id 20; in tokenizer\.json it is 6, which holds/),
    ]);
    expect(await tokenIds(tokenizer, "x<s>")).toEqual([6, 1]);
  });

  test.each([
    [{ "tokenizer_config.json": { added_tokens_decoder: { "20": added(20, "<h>") } } }, /"<h>" the id 20.*for 8/],
    [{ "added_tokens.json": { "<h>": 12 } }, /"<h>" the id 12, but libraries would take it for 8/],
    [{ "added_tokens.json": { "<h>": "8" } }, /added_tokens\.json: <h>\.id: must be a whole number/],
    [{ "tokenizer_config.json": { added_tokens_decoder: { x: added(8, "<h>") } } }, undefined],
    [{ "tokenizer_config.json": { added_tokens_decoder: { x: { content: "<h>" } } } }, /must be a whole number/],
    [{ "tokenizer_config.json": { added_tokens_decoder: [] } }, /added_tokens_decoder: must be an object/],
  ])("%j", async (files, problem) => {
    const loading = load(lettersDefinition(), files as Record<string, object>);
    if (problem) await expect(loading).rejects.toThrow(problem);
    else await expect(loading).resolves.toMatchObject({ vocabularySize: 9 });
  });
});

test("generation_config.json lists more tokens that end answers", async () => {
  const files = (eos_token_id: unknown) => ({ "generation_config.json": { eos_token_id } });
  expect(await load(lettersDefinition(), files([2, 6]))).toMatchObject({ eosId: 2, eosIds: [2, 6] });
  expect(await load(lettersDefinition(), files(6))).toMatchObject({ eosId: 2, eosIds: [2, 6] });
  expect(await load(lettersDefinition(), files(null))).toMatchObject({ eosIds: [2] });
  await expect(load(lettersDefinition(), files(["</s>"]))).rejects.toThrow(
    /generation_config\.json: eos_token_id: must be the id of a token, or a list of ids, found "<\/s>"/,
  );
});

test("what a definition says of cutting and filling up has no effect, and dropout is warned of", async () => {
  const truncation = { direction: "Right", max_length: 2, strategy: "LongestFirst", stride: 0 };
  const { model } = lettersDefinition();
  const vocab = { "<unk>": 0, "<s>": 1, "</s>": 2, a: 3, b: 4, ab: 5 };
  const tokenizer = await load(
    lettersDefinition({ truncation, model: { ...(model as object), vocab, merges: ["a b"], dropout: 0.9 } }),
  );
  expect(await tokenIds(tokenizer, "ababab")).toEqual([5, 5, 5]);
  expect(tokenizer.warnings).toEqual([expect.stringMatching(/model\.dropout has no effect/)]);
});

test("without special tokens, they are read as they are written, and others are as ever", async () => {
  const definition = lettersDefinition({
    added_tokens: [
      added(0, "<unk>"),
      added(1, "<s>"),
      added(2, "</s>"),
      added(8, "<ab>"),
      added(9, "<x>", { special: false }),
    ],
  });
  const tokenizer = await load(definition);
  expect(await tokenIds(tokenizer, "<ab>a<x></s>")).toEqual([8, 3, 9, 2]);
  expect([...tokenizer.specialTokens]).toEqual([
    [1, "<s>"],
    [2, "</s>"],
    [8, "<ab>"],
  ]);
  const plain = await tokenizer.readingSpecialTokensAsText();
  expect(await tokenIds(plain, "<ab>a<x></s>")).toEqual([0, 3, 4, 0, 3, 9, 0, 0, 0, 0]);
  expect(plain.fingerprint).not.toBe(tokenizer.fingerprint);
  expect(plain.decode([8, 9, 2])).toBe("<ab><x></s>");
});
