import { existsSync } from "node:fs";
import { join } from "node:path";
import { mainSnapshot } from "./hub-cache.ts";

/**
 * The names of the files in a model folder that hold the configuration and the weights, those of an
 * adapter included.
 */
export const fileNames = {
  configuration: "config.json",
  weights: "model.safetensors",
  index: "model.safetensors.index.json",
  tokenizer: "tokenizer.json",
  adapterConfiguration: "adapter_config.json",
  adapterWeights: "adapter_model.safetensors",
};

/** True if a folder looks like a model or an adapter. Opening it checks the content. */
export function isModelFolder(path: string): boolean {
  return [fileNames.configuration, fileNames.adapterConfiguration].some((name) => existsSync(join(path, name)));
}

/**
 * The model folder that a path means: the path itself, the trained model of the run in it, or the
 * snapshot of a model in the cache of Hugging Face's libraries.
 */
export function modelPath(path: string): string {
  if (isModelFolder(path)) return path;
  const trained = join(path, "model");
  return isModelFolder(trained) ? trained : (mainSnapshot(path) ?? path);
}
