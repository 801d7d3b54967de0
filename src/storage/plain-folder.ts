import { basename, join } from "node:path";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { readConfiguration } from "../families/configuration.ts";
import { readJson } from "../json.ts";
import { checkParameters, parameterShapes } from "../models/parameter-shapes.ts";
import type { ModelFolder, StoredWeight } from "./folder.ts";
import { fileNames } from "./model-path.ts";
import { openSafetensors, readTensor, type SafetensorsFile } from "./safetensors.ts";

/**
 * Opens a folder with a whole model.
 *
 * @param names of the files in the folder
 * @throws UserError if something is missing, unsupported, or does not fit together.
 */
export async function openPlainFolder(path: string, names: readonly string[]): Promise<ModelFolder> {
  const configuration = await readConfiguration(join(path, fileNames.configuration));
  const files = await openWeights(path, names);
  const home = new Map<string, SafetensorsFile>();
  const weights = new Map<string, StoredWeight>();
  for (const opened of files) {
    for (const [name, entry] of opened.tensors) {
      if (home.has(name)) throw new UserError("is in two files", { file: opened.file, field: name });
      home.set(name, opened);
      weights.set(name, { ...entry, file: opened.file });
    }
  }
  checkParameters(weights, configuration, files.length === 1 ? files[0]!.file : path);
  const shapes = parameterShapes(configuration);
  for (const name of weights.keys()) if (!shapes.has(name)) weights.delete(name);
  return {
    path,
    configuration,
    weights,
    tokenizerFolder: path,
    read: (name, into) => {
      const opened = home.get(name);
      if (!opened || !weights.has(name)) throw new RangeError(`${path} has no parameter ${name}`);
      return readTensor(opened, name, into);
    },
  };
}

/** Whether the files of a folder, given by name, hold the weights of a whole model. */
export function holdsWeights(names: readonly string[]): boolean {
  return names.includes(fileNames.weights) || names.includes(fileNames.index);
}

async function openWeights(path: string, names: readonly string[]): Promise<SafetensorsFile[]> {
  if (names.includes(fileNames.weights)) return [await openSafetensors(join(path, fileNames.weights))];
  if (names.includes(fileNames.index)) return openShards(path, names);
  if (names.some((name) => name.startsWith("pytorch_model"))) {
    const hint = "convert it: save_pretrained(folder, safe_serialization=True) in transformers";
    throw new UserError("its weights are a pickle of PyTorch, which can run code and is not read", {
      file: path,
      hint,
    });
  }
  throw new UserError("holds no weights: neither model.safetensors nor its index", { file: path });
}

const indexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

async function openShards(path: string, names: readonly string[]): Promise<SafetensorsFile[]> {
  const file = join(path, fileNames.index);
  const index = indexSchema.safeParse(await readJson(file));
  if (!index.success) {
    throw new UserError("must map the name of each tensor to a file", { file, field: "weight_map" });
  }
  const places = Object.entries(index.data.weight_map);
  for (const [field, shard] of places) {
    // A plain file name cannot lead out of the folder.
    if (basename(shard) !== shard || shard.includes("\\") || !shard.endsWith(".safetensors")) {
      throw new UserError(`"${shard}" is not the name of a safetensors file in the folder`, { file, field });
    }
    if (!names.includes(shard)) {
      throw new UserError(`"${shard}" is missing`, { file, field, hint: "download the model again" });
    }
  }
  const shards: SafetensorsFile[] = [];
  for (const shard of new Set(places.map(([, name]) => name))) shards.push(await openSafetensors(join(path, shard)));
  for (const [field, shard] of places) {
    const opened = shards.find((candidate) => candidate.file === join(path, shard))!;
    if (!opened.tensors.has(field)) throw new UserError(`is not in "${shard}"`, { file, field });
  }
  return shards;
}
