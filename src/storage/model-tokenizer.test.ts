import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeByteTokenizer } from "../data/tokens/byte-tokenizer.ts";
import { newLlama } from "../families/new-llama.ts";
import { loadModelTokenizer } from "./model-tokenizer.ts";

test("ends are those of config.json, of the model's and its base's generation_config.json, and of the tokenizer", async () => {
  const root = await mkdtemp(join(tmpdir(), "tokenwise-ends-"));
  const [path, base, tokenizerFolder] = ["adapter", "base", "tokenizer"].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  for (const [folder, ends] of [
    [path, 11],
    [base, [12, 256]],
    [tokenizerFolder, [13]],
  ] as const) {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "generation_config.json"), JSON.stringify({ eos_token_id: ends }));
  }
  await writeByteTokenizer(tokenizerFolder);
  const sizes = { width: 4, layers: 1, heads: 1, feedForwardWidth: 4, vocabularySize: 257, contextLength: 8 };
  const configuration = newLlama({ ...sizes, eosTokenIds: [10] });
  const empty = { configuration, weights: new Map(), tokenizerFolder, lora: undefined, base: undefined };
  const folder = { ...empty, path, base: { ...empty, path: base } };
  const { eosId, eosIds } = await loadModelTokenizer(folder as never);
  expect(eosId).toBe(256);
  expect([...eosIds].sort()).toEqual([10, 11, 12, 13, 256].sort());
  await rm(root, { recursive: true });
});
