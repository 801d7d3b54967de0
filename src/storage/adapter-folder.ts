import { isAbsolute, join } from "node:path";
import { UserError } from "../errors.ts";
import { asUserError } from "../files/file-system.ts";
import { listFolder } from "../files/system-files.ts";
import { expandHome } from "../files/user-path.ts";
import type { Architecture } from "../models/architecture.ts";
import {
  adaptedLayers,
  adapterNames,
  adapterShapes,
  isTarget,
  type LoraSettings,
  targetNames,
} from "../models/lora.ts";
import { isFloatDtype } from "../number-formats.ts";
import { quoted } from "../one-line.ts";
import { type AdapterConfiguration, mergeHint, readAdapterConfiguration } from "./adapter-configuration.ts";
import { byAdapterNames } from "./adapter-names.ts";
import type { ModelFolder } from "./folder.ts";
import { explainFolder, holdsForeignFile } from "./foreign-files.ts";
import { fileNames, isModelFolder, modelPath } from "./model-path.ts";
import { openPlainFolder } from "./plain-folder.ts";
import { openSafetensors, readTensor, type SafetensorsFile } from "./safetensors.ts";

/**
 * Opens the folder of an adapter as PEFT writes it, together with its base.
 *
 * @param names of the files in the folder
 * @param givenBase the base's folder, or that of a run, where it is not to be the one that the
 * adapter names
 * @throws UserError if something is missing, unsupported, or does not fit together.
 */
export async function openAdapterFolder(
  path: string,
  names: readonly string[],
  givenBase: string | undefined,
): Promise<ModelFolder> {
  // Other tools have an adapter_config.json of their own kind.
  if (!names.includes(fileNames.adapterWeights) && holdsForeignFile(names)) throw explainFolder(path, names, "");
  const file = join(path, fileNames.adapterConfiguration);
  const adapter = await readAdapterConfiguration(file);
  const stored = await openAdapterWeights(path, names);
  const base = await openBase(givenBase ?? findBase(path, file, adapter));
  const opened = {
    ...stored,
    tensors: byAdapterNames(stored.file, stored.tensors, new Set(placesOf(base.architecture).keys())),
  };
  checkPlaces(opened, base);
  const { rank, alpha, dropout, rslora } = adapter;
  const lora = { rank, alpha, dropout, rslora, targetModules: modulesOf(adapter, opened, base, file) };
  checkShapes(opened, lora, base);
  const own = Array.from(opened.tensors, ([name, entry]) => [name, { ...entry, file: opened.file }] as const);
  return {
    path,
    configuration: base.configuration,
    architecture: base.architecture,
    notes: base.notes,
    parameters: new Map([...base.parameters, ...own]),
    tokenizerFolder: names.includes(fileNames.tokenizer) ? path : base.path,
    lora,
    base,
    read: (name, into) => (opened.tensors.has(name) ? readTensor(opened, name, into) : base.read(name, into)),
  };
}

async function openAdapterWeights(path: string, names: readonly string[]): Promise<SafetensorsFile> {
  if (names.includes(fileNames.adapterWeights)) return openSafetensors(join(path, fileNames.adapterWeights));
  throw explainFolder(path, names, `is an adapter without weights: it holds no ${fileNames.adapterWeights}`);
}

/**
 * The folder of the base that an adapter names: relative to the working directory, or else to the
 * adapter.
 */
function findBase(path: string, file: string, { base }: AdapterConfiguration): string {
  const field = "base_model_name_or_path";
  if (base === undefined) {
    throw new UserError("does not say which model the adapter is for", { file, field, hint: "name its folder here" });
  }
  const candidates = [expandHome(base), ...(isAbsolute(base) ? [] : [join(path, base)])];
  const folder = candidates.map(modelPath).find(isModelFolder);
  if (folder !== undefined) return folder;
  const hint =
    "download or find the model, and write its folder here, or give it with `base` where there is that option";
  throw new UserError(`the model that the adapter is for, ${quoted(base)}, is no folder with a model`, {
    file,
    field,
    hint,
  });
}

async function openBase(given: string): Promise<ModelFolder> {
  const path = modelPath(given);
  const names = await listFolder(path).catch((error) => {
    throw asUserError(error, path, "cannot read the base");
  });
  const isAdapter = names.includes(fileNames.adapterConfiguration);
  if (names.includes(fileNames.configuration) && !isAdapter) return openPlainFolder(path, names);
  const problem = isAdapter ? "is an adapter itself" : "is no model folder: it holds no config.json";
  const hint = isAdapter ? "make it a whole model with `tokenwise export`, and name that as the base" : undefined;
  throw new UserError(`as the base of an adapter: ${problem}`, { file: path, ...(hint && { hint }) });
}

const baseHint = "is this the model that the adapter was trained on?";

/** Checks that each tensor is for a layer of the base. */
function checkPlaces({ file, tensors }: SafetensorsFile, { path, architecture }: ModelFolder): void {
  const places = placesOf(architecture);
  const surplus = [...tensors.keys()].find((name) => !places.has(name));
  if (surplus === undefined) return;
  const [, inBlock] = /^base_model\.model\.(.+)\.lora_[AB]\.weight$/.exec(surplus) ?? [];
  const blocks = adaptedLayers(architecture).map(({ weight, module }) => weight.slice(0, weight.indexOf(module)));
  if (blocks.some((block) => inBlock?.startsWith(block.replace(/\d+\.$/, "")))) {
    const problem = `is for a layer that the base, ${path}, does not have`;
    throw new UserError(problem, { file, field: surplus, hint: baseHint });
  }
  const problem = "has no place: tokenwise has adapters on the linear layers of blocks, and on nothing else";
  throw new UserError(problem, { file, field: surplus, hint: mergeHint });
}

/**
 * The modules that the tensors are for, and those that the configuration lists besides, whose
 * tensors are missing.
 */
function modulesOf(
  { targetModules, excludesModules }: AdapterConfiguration,
  { file, tensors }: SafetensorsFile,
  { architecture }: ModelFolder,
  configurationFile: string,
): string[] {
  if (tensors.size === 0) throw new UserError("holds no matrices of an adapter", { file });
  const places = placesOf(architecture);
  const stored = new Set(Array.from(tensors.keys(), (name) => places.get(name)!));
  if (!targetModules) return targetNames(architecture, (module) => stored.has(module));
  const unlisted = Array.from(stored).find((module) => !isTarget(module, targetModules));
  if (unlisted !== undefined) {
    const [name] = targetNames(architecture, (module) => module === unlisted);
    const problem = `does not list ${name}, for which ${fileNames.adapterWeights} has matrices`;
    const hint = "the two files belong to different adapters";
    throw new UserError(problem, { file: configurationFile, field: "target_modules", hint });
  }
  const isLeftOut = (module: string) => excludesModules || !isTarget(module, targetModules);
  return targetNames(architecture, (module) => stored.has(module) || !isLeftOut(module));
}

/**
 * The linear layer of a block that each matrix of an adapter could be for, by the matrix's name.
 */
function placesOf(architecture: Architecture): Map<string, string> {
  return new Map(
    adaptedLayers(architecture).flatMap(({ weight, module }) =>
      Object.values(adapterNames(weight)).map((name) => [name, module] as const),
    ),
  );
}

/** Checks that the tensors are the matrices that the settings describe, all of them. */
function checkShapes({ file, tensors }: SafetensorsFile, lora: LoraSettings, base: ModelFolder): void {
  const shapes = [...adapterShapes(base.architecture, lora)];
  for (const [name, shape] of shapes) {
    const entry = tensors.get(name);
    if (!entry || (isFloatDtype(entry.dtype) && String(entry.shape) === String(shape))) continue;
    const described = `floats [${shape.join(", ")}] for the base, ${base.path}, and rank ${lora.rank}`;
    const problem = `must be ${described}, found ${entry.dtype} [${entry.shape.join(", ")}]`;
    const rank = entry.shape[name.includes(".lora_A.") ? 0 : 1];
    const hint = rank === lora.rank ? baseHint : `${fileNames.adapterConfiguration} must have the adapter's rank as r`;
    throw new UserError(problem, { file, field: name, hint });
  }
  const missing = shapes.map(([name]) => name).filter((name) => !tensors.has(name));
  if (missing.length === 0) return;
  const more = missing.length > 1 ? `, and so are ${missing.length - 1} more` : "";
  const hint = `an adapter needs both matrices of a module in every block; ${baseHint}`;
  throw new UserError(`is missing${more}`, { file, field: missing[0]!, hint });
}
