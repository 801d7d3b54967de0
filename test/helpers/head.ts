/** Heads without the transformers below them: all that `StatisticsHead` takes of a model. */
import type { PackedBatch } from "../../src/data/batch.ts";
import { type Engine, type FloatValue, upload } from "../../src/engine/engine.ts";
import type { Architecture } from "../../src/models/architecture.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";

/** @param weight [vocabulary, width] */
export function headModel(
  weight: FloatValue,
  { bias, trains = false, finishLogits }: { bias?: FloatValue; trains?: boolean } & Partial<Architecture> = {},
): LanguageModel {
  const [vocabularySize, width] = weight.shape;
  const parameters = new Map([["head", weight]]);
  if (bias) parameters.set("bias", bias);
  const architecture = { head: "head", headBias: bias && "bias", width, vocabularySize, finishLogits };
  const trainable = trains ? parameters : new Map();
  return { transformer: { architecture }, parameters, trainable } as unknown as LanguageModel;
}

/** A head that takes hidden states for the logits. */
export function identityHead(engine: Engine, vocabularySize: number): LanguageModel {
  const identity = new Float32Array(vocabularySize ** 2);
  for (let word = 0; word < vocabularySize; word++) identity[word * (vocabularySize + 1)] = 1;
  return headModel(upload(engine, [vocabularySize, vocabularySize], identity));
}

/** Entries with these labels, of a batch that has nothing else. */
export function labelled(labels: readonly number[]) {
  const batch = { entries: labels.map((label) => ({ label })) } as unknown as PackedBatch;
  return { batch, range: { start: 0, end: labels.length } };
}
