import { type PackedBatch, packBatch } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";
import { type Engine, type FloatArray, type FloatValue, rows } from "../engine/engine.ts";
import { UserError } from "../errors.ts";
import type { LanguageModel } from "../models/language-model.ts";

/** Hidden states of the reference that are kept for examples that come again. */
export interface HiddenStatesCache {
  /** For messages. */
  readonly file: string;
  /** The states of an example, [entries * width]; undefined if they are not kept. */
  read(example: TokenizedExample): Promise<Float32Array | undefined>;
  add(example: TokenizedExample, states: FloatArray): Promise<void>;
}

/** A frozen model that the policy is compared with. */
export interface ReferenceModel extends LanguageModel {
  /**
   * True if only its head is there: the hidden states of every example must then be in the cache.
   */
  readonly headOnly?: boolean;
}

/**
 * The reference's hidden states of a batch, [entries, width]: from the cache where it has them, and
 * from a pass over the other examples.
 *
 * @throws UserError if an example is in the cache no more, and of the reference only the head is
 * there.
 */
export async function referenceStates(
  engine: Engine,
  { transformer, parameters, headOnly }: ReferenceModel,
  batch: PackedBatch,
  cache: HiddenStatesCache | undefined,
): Promise<FloatValue> {
  const pass = async (packed: PackedBatch) =>
    (await transformer.forward(parameters, packed, { save: "nothing" })).hidden;
  if (!cache) return pass(batch);
  const examples = batch.rows.map(({ example }) => example!);
  const states = await Promise.all(examples.map((example) => cache.read(example)));
  const missing = examples.filter((_, row) => !states[row]);
  if (missing.length > 0 && headOnly) {
    const hint = "delete the file, and continue the run with `resume`";
    throw new UserError("has lost what was in it", { file: cache.file, hint });
  }
  const computed = missing.length > 0 ? await pass(packBatch(missing)) : undefined;
  const hidden = engine.allocate([batch.entries.length, transformer.architecture.width]);
  let [entry, computedEntry] = [0, 0];
  for (const [row, { responseLengths }] of batch.rows.entries()) {
    const count = responseLengths.reduce((sum, length) => sum + length, 0);
    const found = states[row] ?? (await engine.read(rows(computed!, computedEntry, computedEntry + count)));
    if (!states[row]) {
      computedEntry += count;
      await cache.add(examples[row]!, found);
    }
    engine.write(rows(hidden, entry, entry + count), found);
    entry += count;
  }
  if (computed) engine.release(computed);
  return hidden;
}
