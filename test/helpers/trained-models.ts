/** Golden models trained for a step and saved in each form that other libraries open. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../../src/engine/engine.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { adaptableModules } from "../../src/models/lora.ts";
import { createObjective } from "../../src/objectives/index.ts";
import { saveModel } from "../../src/runs/checkpoint.ts";
import { Optimizer } from "../../src/step/optimizer.ts";
import { Trainer } from "../../src/step/trainer.ts";
import { openModelFolder } from "../../src/storage/folder.ts";
import { loadLanguageModel, loadWithAdapter } from "../../src/storage/load-model.ts";
import { mergeAdapter } from "../../src/storage/merge-adapter.ts";
import { saveModelFolder } from "../../src/storage/save-folder.ts";
import { goldenFolder, goldenPair, goldenReference, readGolden } from "./golden.ts";

/** The folders that `saveTrained` writes. */
export const savedForms = ["whole", "bfloat16", "adapter", "merged"] as const;

/**
 * Trains a golden model for a step of DPO, whole and as an adapter, and saves both in `folder`, by
 * form. The adapter is on the modules of the golden one, or on every linear layer.
 *
 * @param engine one in float32: others cannot save
 */
export async function saveTrained(engine: Engine, name: string, folder: string): Promise<void> {
  const whole = await loadLanguageModel(engine, goldenFolder(name));
  const reference = await goldenReference(engine, name, whole);
  await trainStep(engine, name, whole, reference);
  await saveModel(engine, join(folder, "whole"), whole, new Map(), "float32");
  await saveModel(engine, join(folder, "bfloat16"), whole, new Map(), "bfloat16");

  const base = await openModelFolder(goldenFolder(name));
  const golden = join(base.path, "adapter");
  const lora = existsSync(golden)
    ? (await openModelFolder(golden, { base: base.path })).lora!
    : { rank: 2, alpha: 4, dropout: 0, rslora: false, targetModules: adaptableModules(base.architecture) };
  const adapted = await loadWithAdapter(engine, base, { lora, base: "stored", seed: 1 });
  await trainStep(engine, name, adapted, reference);
  const adapter = join(folder, "adapter");
  await saveModel(engine, adapter, adapted, new Map(), "float32");

  const opened = await openModelFolder(adapter);
  const { configuration } = opened;
  await saveModelFolder(join(folder, "merged"), { configuration, parameters: mergeAdapter(opened) });
}

/** A step large enough that every logit moves. */
async function trainStep(engine: Engine, name: string, policy: LanguageModel, reference: LanguageModel) {
  const trainer = new Trainer({
    ...{ engine, policy, reference, objective: createObjective({ name: "dpo", beta: 0.1 }), totalSteps: 1 },
    ...{ maxGradientNorm: 10, microbatch: { tokens: 1000 }, schedule: { learningRate: 0.02 } },
    optimizer: new Optimizer(engine, { name: "adamw" }, policy.trainable),
  });
  await trainer.step([goldenPair(readGolden(name))]);
}
