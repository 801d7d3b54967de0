import type { Engine } from "../src/engine/engine.ts";
import type { LanguageModel } from "../src/models/language-model.ts";
import { adaptableModules } from "../src/models/lora.ts";
import type { ModelFolder } from "../src/storage/folder.ts";
import type { FrozenFormat } from "../src/storage/frozen-parameters.ts";
import { loadWithAdapter } from "../src/storage/load-model.ts";

/**
 * A model with the adapter that the peers begin with: A = 0.01 sin(index), B = 0.01 cos(index),
 * scale 2, on every linear layer of a block.
 */
export async function withPeersAdapter(
  engine: Engine,
  folder: ModelFolder,
  { lora: rank, base }: { lora: number; base: FrozenFormat },
): Promise<LanguageModel> {
  const targetModules = adaptableModules(folder.architecture);
  const lora = { rank, alpha: 2 * rank, dropout: 0, rslora: false, targetModules };
  const model = await loadWithAdapter(engine, folder, { lora, seed: 0, base });
  for (const [name, { data }] of model.trainable) {
    const wave = name.endsWith("lora_A.weight") ? Math.sin : Math.cos;
    for (let index = 0; index < data.length; index++) data[index] = 0.01 * wave(index);
  }
  return model;
}
