import { existsSync } from "node:fs";
import { join } from "node:path";

/** The names of the files in a model folder that hold the configuration and the weights, those of an adapter included. */
export const fileNames = {
  configuration: "config.json",
  weights: "model.safetensors",
  index: "model.safetensors.index.json",
  tokenizer: "tokenizer.json",
  adapterConfiguration: "adapter_config.json",
  adapterWeights: "adapter_model.safetensors",
};

/** Whether a folder says of itself that it is a model, or an adapter on one; whether it is sound, opening it tells. */
export function isModelFolder(path: string): boolean {
  return [fileNames.configuration, fileNames.adapterConfiguration].some((name) => existsSync(join(path, name)));
}

/** The model folder that a path means: the path itself, or the trained model of the run in it. */
export function modelPath(path: string): string {
  const trained = join(path, "model");
  return !isModelFolder(path) && isModelFolder(trained) ? trained : path;
}
