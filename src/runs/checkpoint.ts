import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { DataPosition } from "../data/order.ts";
import type { Memory } from "../engine/engine.ts";
import { UserError } from "../errors.ts";
import { isFolder, removeAtomic, replaceFolderAtomic } from "../files/file-system.ts";
import { readJson } from "../files/json.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { adaptedLayers } from "../models/lora.ts";
import type { ObjectiveState } from "../step/objective-evaluator.ts";
import type { Optimizer } from "../step/optimizer.ts";
import { type NamedTensor, openSafetensors, readTensor, writeSafetensors } from "../storage/safetensors.ts";
import { saveAdapterFolder } from "../storage/save-adapter-folder.ts";
import { type FolderFiles, saveModelFolder } from "../storage/save-folder.ts";

/**
 * The state of a run, besides weights and optimizer state. All chance in a run is a function of the
 * seed and this.
 */
export interface Progress {
  /** Optimizer steps done. */
  readonly step: number;
  /** Examples seen. */
  readonly examples: number;
  /** The next example. */
  readonly position: DataPosition;
  /** Hash of the training examples: their tokens, their weights and their order. */
  readonly data: string;
  /** Fingerprint of the models that do not train: the reference, and the base of an adapter. */
  readonly frozen?: string | undefined;
  /** The objective's numbers that live from step to step; undefined for one without state. */
  readonly objective?: ObjectiveState | undefined;
}

/**
 * A checkpoint is a folder: `model/` in Hugging Face's layout, `optimizer.safetensors`, and
 * `progress.json`.
 */
const names = { model: "model", optimizer: "optimizer.safetensors", progress: "progress.json" };

const progressSchema = z.object({
  step: z.int().nonnegative(),
  examples: z.int().nonnegative(),
  position: z.object({ epoch: z.int().nonnegative(), index: z.int().nonnegative() }),
  data: z.string(),
  frozen: z.string().optional(),
  objective: z.record(z.string(), z.number()).optional(),
});

/**
 * Writes a checkpoint whole or not at all, then removes all but the newest `keep`. Returns its
 * folder.
 */
export async function saveCheckpoint(
  memory: Memory,
  folder: string,
  run: { policy: LanguageModel; optimizer: Optimizer; progress: Progress; tokenizerFrom: FolderFiles; keep: number },
): Promise<string> {
  const path = join(folder, `step-${String(run.progress.step).padStart(8, "0")}`);
  await replaceFolderAtomic(path, async (temporary) => {
    await saveModel(memory, join(temporary, names.model), run.policy, run.tokenizerFrom, "float32");
    const tensors: NamedTensor[] = [];
    for (const [name, value] of run.optimizer.state)
      tensors.push({ name, shape: value.shape, data: (await memory.read(value)) as Float32Array });
    await writeSafetensors(join(temporary, names.optimizer), tensors);
    await writeFile(join(temporary, names.progress), `${JSON.stringify(run.progress, undefined, 2)}\n`);
  });
  const kept = (await listCheckpoints(folder)).slice(-run.keep);
  for (const name of await readdir(folder)) {
    const old = join(folder, name);
    if (/^step-\d+$/.test(name) && !kept.includes(old)) await removeAtomic(old);
  }
  return path;
}

/** Saves a policy as a model folder, or its adapter as the folder of one. */
export async function saveModel(
  memory: Memory,
  path: string,
  { configuration, transformer, trainable, adapter }: LanguageModel,
  tokenizerFrom: FolderFiles,
  dtype: "float32" | "bfloat16",
): Promise<void> {
  const arrays = new Map<string, Float32Array>();
  for (const [name, value] of trainable) arrays.set(name, (await memory.read(value)) as Float32Array);
  if (adapter) {
    const matrices = new Map(Array.from(trainable, ([name, { shape }]) => [name, { shape, data: arrays.get(name)! }]));
    const layers = adaptedLayers(transformer.architecture, adapter.lora.targetModules);
    const transposed = layers.some((layer) => layer.transposed);
    await saveAdapterFolder(path, { ...adapter, transposed, adapter: matrices, tokenizerFrom, dtype });
    return;
  }
  await saveModelFolder(path, { configuration, parameters: arrays, tokenizerFrom, dtype });
}

/** The checkpoints of a run, oldest first. */
export async function listCheckpoints(folder: string): Promise<string[]> {
  if (!(await isFolder(folder))) return [];
  const found = (await readdir(folder)).filter((name) => /^step-\d+$/.test(name));
  return found.sort((a, b) => Number(a.slice(5)) - Number(b.slice(5))).map((name) => join(folder, name));
}

/** The folder of the policy in a checkpoint. */
export function checkpointModel(checkpoint: string): string {
  return join(checkpoint, names.model);
}

/** Reads where a checkpoint's run stood. */
export async function readProgress(checkpoint: string): Promise<Progress> {
  const file = join(checkpoint, names.progress);
  const parsed = progressSchema.safeParse(await readJson(file));
  if (!parsed.success) throw new UserError("is not the progress of a run", { file });
  return parsed.data;
}

/**
 * Puts a checkpoint's state into an optimizer.
 *
 * @throws UserError when the state belongs to another optimizer or another model.
 */
export async function restoreOptimizer(
  memory: Memory,
  checkpoint: string,
  optimizer: Optimizer,
  step: number,
): Promise<void> {
  const file = await openSafetensors(join(checkpoint, names.optimizer));
  for (const [name, value] of optimizer.state) {
    const { shape } = value;
    const stored = file.tensors.get(name);
    if (!stored || String(stored.shape) !== String(shape)) {
      throw new UserError(stored ? `has shape [${stored.shape}], expected [${shape}]` : "is missing", {
        file: file.file,
        field: name,
        hint: "resume with the optimizer and the model that the run began with",
      });
    }
    await memory.load(value, (into) => readTensor(file, name, into));
  }
  optimizer.step = step;
}
