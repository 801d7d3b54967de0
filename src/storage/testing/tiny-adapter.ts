/** A tiny model and an adapter on it, as folders. */

import type { LlamaConfiguration } from "../../families/llama.ts";
import { newLlama } from "../../families/new-llama.ts";
import { architectureOf } from "../../families/registry.ts";
import { parameterShapes } from "../../models/architecture.ts";
import { adapterShapes, type LoraSettings } from "../../models/lora.ts";
import { elementCount } from "../safetensors-header.ts";
import { saveAdapterFolder } from "../save-adapter-folder.ts";
import { saveModelFolder } from "../save-folder.ts";

export const tinyConfiguration = newLlama({
  width: 8,
  layers: 2,
  heads: 2,
  feedForwardWidth: 12,
  vocabularySize: 10,
  contextLength: 32,
});

export const tinyLora: LoraSettings = {
  rank: 2,
  alpha: 6,
  dropout: 0.1,
  rslora: false,
  targetModules: ["q_proj", "down_proj"],
};

/** Numbers that bfloat16 holds exactly, different for each tensor. */
export function numbersFor(shapes: ReadonlyMap<string, readonly number[]>): Map<string, Float32Array> {
  return new Map(
    Array.from(shapes, ([name, shape], seed) => {
      const number = (_: unknown, index: number) => ((seed * 7 + index * 5) % 23) / 16 - 0.75;
      return [name, Float32Array.from({ length: elementCount(shape) }, number)];
    }),
  );
}

/** The matrices of an adapter, none of them zero. */
export function adapterFor(
  lora: LoraSettings,
  configuration: LlamaConfiguration = tinyConfiguration,
): Map<string, { shape: readonly number[]; data: Float32Array }> {
  const shapes = adapterShapes(architectureOf(configuration), lora);
  return new Map(Array.from(numbersFor(shapes), ([name, data]) => [name, { shape: shapes.get(name)!, data }]));
}

export async function writeTinyModel(
  path: string,
  dtype: "float32" | "bfloat16" = "float32",
  configuration: LlamaConfiguration = tinyConfiguration,
): Promise<string> {
  const parameters = numbersFor(parameterShapes(architectureOf(configuration)));
  await saveModelFolder(path, { configuration, parameters, dtype });
  return path;
}

export async function writeTinyAdapter(path: string, base: string, lora: LoraSettings = tinyLora): Promise<string> {
  await saveAdapterFolder(path, { lora, base, adapter: adapterFor(lora) });
  return path;
}
