/** A tiny random model over bytes, in memory or in a folder. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeByteTokenizer } from "../../data/tokens/byte-tokenizer.ts";
import { loadTokenizer } from "../../data/tokens/load-tokenizer.ts";
import type { Tokenizer } from "../../data/tokens/tokenizer.ts";
import type { Engine } from "../../engine/engine.ts";
import { float64Engine } from "../../engine/float64.ts";
import { newLlama } from "../../families/new-llama.ts";
import { architectureOf } from "../../families/registry.ts";
import { initializeLanguageModel } from "../../models/initialize.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import { saveModelFolder } from "../../storage/save-folder.ts";

export const endToken = 256;

/** Grouped-query attention, a short context, and a vocabulary padded beyond the tokenizer's. */
export const byteConfiguration = newLlama({
  width: 16,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  feedForwardWidth: 24,
  vocabularySize: 260,
  contextLength: 48,
  bosTokenId: endToken,
  eosTokenIds: [endToken],
});

export async function byteTokenizer(merges: readonly (readonly [string, string])[] = []): Promise<Tokenizer> {
  const folder = await mkdtemp(join(tmpdir(), "tokenwise-test-"));
  try {
    await writeByteTokenizer(folder, merges);
    return await loadTokenizer(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The model in an engine; the same weights in every engine. */
export function byteModel(engine: Engine): Promise<LanguageModel> {
  return initializeLanguageModel(engine, architectureOf(byteConfiguration), { seed: 5, standardDeviation: 0.4 });
}

/** The model as a folder, with its tokenizer. */
export async function writeByteModel(folder: string): Promise<string> {
  const { parameters } = await byteModel(float64Engine());
  await writeByteTokenizer(`${folder}-tokenizer`);
  const weights = new Map(Array.from(parameters, ([name, { data }]) => [name, Float32Array.from(data)]));
  await saveModelFolder(folder, {
    configuration: byteConfiguration,
    parameters: weights,
    tokenizerFrom: `${folder}-tokenizer`,
  });
  return folder;
}
