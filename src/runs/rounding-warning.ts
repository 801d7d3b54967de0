import type { Memory } from "../engine/engine.ts";
import { UserError } from "../errors.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { ModelFolder } from "../storage/folder.ts";
import { RoundingLoss } from "../storage/rounding-loss.ts";

const advice = "save them exactly: the same run with `resume` and `set: dtype=float32`; or train an adapter (lora)";

/**
 * A warning where storing a trained model in bfloat16 takes back a notable part of what training
 * did, as small learning rates have it. A new model and a new adapter change so much that rounding
 * does not matter.
 *
 * @param start the folder that the training began with; undefined for a new model
 */
export async function roundingWarning(
  memory: Memory,
  start: ModelFolder | undefined,
  { trainable, adapter }: Pick<LanguageModel, "trainable" | "adapter">,
): Promise<string | undefined> {
  if (!start || (adapter && !start.lora)) return undefined;
  const loss = new RoundingLoss();
  try {
    for (const [name, value] of trainable) loss.add(await start.read(name), (await memory.read(value)) as Float32Array);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return `how much rounding to bfloat16 takes back is not known, for the starting model is gone: ${error.message}`;
  }
  return loss.warning("what training did", advice);
}
