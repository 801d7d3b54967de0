import { existsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { UserError } from "../errors.ts";
import { asUserError, isFolder } from "../files/file-system.ts";
import { listFolder } from "../files/system-files.ts";
import type { Architecture } from "../models/architecture.ts";
import type { ModelConfiguration } from "../models/configuration.ts";
import type { LoraSettings } from "../models/lora.ts";
import { openAdapterFolder } from "./adapter-folder.ts";
import { explainFile, explainFolder, ownWeights } from "./foreign-files.ts";
import { cachedModel, snapshotsOf } from "./hub-cache.ts";
import { fileNames, isModelFolder, modelPath } from "./model-path.ts";
import { holdsWeights, openPlainFolder } from "./plain-folder.ts";
import type { TensorEntry } from "./safetensors-header.ts";

export { fileNames, isModelFolder, modelPath } from "./model-path.ts";

/**
 * The place of a parameter: `bytes` bytes from `offset` on in `file`, which need not be aligned.
 */
export interface StoredParameter extends TensorEntry {
  file: string;
}

/**
 * A model in Hugging Face's layout that was checked: it has exactly the parameters that it
 * needs. An adapter has the configuration and the parameters of its base, and its own matrices
 * besides.
 */
export interface ModelFolder {
  path: string;
  configuration: ModelConfiguration;
  /** The model without an adapter. */
  architecture: Architecture;
  /**
   * Notes for the user: differences between the files and the configuration, and which of them
   * counts.
   */
  notes: readonly string[];
  /** By name; the matrices of an adapter by those of `adapterShapes`, after the base's. */
  parameters: ReadonlyMap<string, StoredParameter>;
  /** The folder of the tokenizer: this one, or with the base of an adapter that comes without. */
  tokenizerFolder: string;
  /** The settings of the adapter; undefined for a whole model. */
  lora?: LoraSettings;
  /** The model that the adapter is for, which is no adapter itself; undefined for a whole model. */
  base?: ModelFolder;
  /**
   * Reads a parameter as float32, row-major, into `into` if given. Throws UserError for NaN and
   * infinity.
   */
  read(name: string, into?: Float32Array): Promise<Float32Array>;
}

/**
 * Opens the folder of a model, or of an adapter with its base: reads configurations and the headers
 * of weights, not the weights, and runs none of its code.
 *
 * @param options.base a model folder, or the folder of a run, to take as the base of an adapter
 * instead of the one that it names
 * @throws UserError if something is missing, unsupported, or does not fit together.
 */
export async function openModelFolder(
  path: string,
  { base }: { base?: string | undefined } = {},
): Promise<ModelFolder> {
  if (existsSync(path) && statSync(path).isFile()) throw explainFile(path);
  if (!(await isFolder(path))) {
    const cached = cachedModel(path);
    const hint = cached ? `it has been downloaded to ${cached}` : "a model of the Hub must be downloaded first";
    throw new UserError("no such model folder", { file: path, hint });
  }
  const names = await listFolder(path).catch((error) => {
    throw asUserError(error, path, "cannot read");
  });
  const isWhole = names.includes(fileNames.configuration);
  if (names.includes(fileNames.adapterConfiguration)) {
    if (!isWhole || !holdsWeights(names)) return openAdapterFolder(path, names, base);
    const hint = "move one of them to a folder of its own";
    throw new UserError("holds both a whole model and an adapter", { file: path, hint });
  }
  if (!isWhole) {
    throw await explainNoModel(path, names);
  }
  if (base !== undefined) {
    throw new UserError("is a whole model, not an adapter", { file: path, hint: "name no base" });
  }
  return openPlainFolder(path, names);
}

/** The error for a folder without a model: what it is instead. */
async function explainNoModel(path: string, names: readonly string[]): Promise<UserError> {
  const missing = "is not a model folder: it holds no config.json and no adapter_config.json";
  const snapshots = snapshotsOf(path);
  if (snapshots && snapshots.length !== 1) {
    const hint = snapshots.length > 0 ? `give one of ${snapshots.slice(0, 3).join(", ")}` : "download the model again";
    return new UserError(`is a model's folder in a cache, with ${snapshots.length} snapshots`, { file: path, hint });
  }
  const weights = ownWeights(names);
  if (weights !== undefined) {
    const file = weights === fileNames.adapterWeights ? fileNames.adapterConfiguration : fileNames.configuration;
    return new UserError(missing, { file: path, hint: `download the ${file} that belongs to its ${weights}` });
  }
  const below = await modelsBelow(path, names);
  if (below.length > 0) {
    const list = below.slice(0, 3).join(", ");
    return new UserError(missing, { file: path, hint: `give one that lies in it: ${list}` });
  }
  const above = dirname(resolve(path));
  const around = [above, dirname(above)].map(modelPath).find(isModelFolder);
  if (around !== undefined) {
    return new UserError(missing, { file: path, hint: `it lies in a model's folder: give ${around}` });
  }
  return explainFolder(path, names, missing);
}

/** Folders that are looked into, of each folder. */
const mostFolders = 100;

/** The folders in a folder that mean a model, or else those in its folders. */
async function modelsBelow(path: string, names: readonly string[], depth = 2): Promise<string[]> {
  const folders = names.slice(0, mostFolders).map((name) => join(path, name));
  const models = folders.filter((folder) => isModelFolder(modelPath(folder)));
  if (models.length > 0 || depth === 1) return models;
  for (const folder of folders) {
    const inside = await listFolder(folder).catch(() => []);
    models.push(...(await modelsBelow(folder, inside, depth - 1)));
  }
  return models;
}
