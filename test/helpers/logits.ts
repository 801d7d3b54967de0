import { type PackedBatch, packBatch } from "../../src/data/batch.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { headOf } from "../../src/models/architecture.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { example } from "./tiny.ts";

/** One sequence as a batch that scores what follows each of its tokens. */
export function sequenceBatch(tokens: readonly number[]): PackedBatch {
  return scoringAll(packBatch([example(tokens)]));
}

/** The batch with every token as a source, in order. */
export function scoringAll(batch: PackedBatch): PackedBatch {
  const entries = Array.from(batch.tokens, (_, source) => ({ source, label: 0, row: 0, response: 0, index: source }));
  return { ...batch, entries };
}

/**
 * The logits that follow each source of the batch, in float64 from the model's hidden states:
 * [entries][vocabulary].
 */
export async function logitsOf(engine: Engine, model: LanguageModel, batch: PackedBatch): Promise<number[][]> {
  const { transformer, parameters } = model;
  const { hidden } = await transformer.forward(parameters, batch, { save: "nothing" });
  const { width, vocabularySize } = transformer.architecture;
  const { weight, bias } = headOf(transformer.architecture, parameters)!;
  const logits = batch.entries.map((_, entry) =>
    Array.from({ length: vocabularySize }, (_, token) => {
      let total = bias?.data[token] ?? 0;
      for (let k = 0; k < width; k++) total += hidden.data[entry * width + k]! * weight.data[token * width + k]!;
      return total;
    }),
  );
  engine.release(hidden);
  return logits;
}
