import { type PackedBatch, packBatch } from "../../src/data/batch.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { interpret } from "../../src/graph/interpreter.ts";
import { defineProgram } from "../../src/graph/program.ts";
import { input } from "../../src/graph/tensor.ts";
import { headInputs, headOf, logitsOf as logitsOfHead, namedHead } from "../../src/models/architecture.ts";
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
  const { architecture } = transformer;
  const h = input([batch.entries.length, architecture.width]);
  const head = headInputs(architecture);
  const program = defineProgram(
    "logits",
    { h, ...namedHead("head", head) },
    { logits: logitsOfHead(architecture, h, head) },
  );
  const values = { h: hidden, ...namedHead("head", headOf(architecture, parameters)!) };
  const { data } = interpret(program, values).logits!;
  engine.release(hidden);
  return batch.entries.map((_, entry) =>
    Array.from(data.subarray(entry * architecture.vocabularySize, (entry + 1) * architecture.vocabularySize)),
  );
}
