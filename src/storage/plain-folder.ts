import { basename, join } from "node:path";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { unknownKeys } from "../families/config-keys.ts";
import { architectureOf, familyOf, parseConfiguration } from "../families/registry.ts";
import { readJson } from "../files/json.ts";
import { parameterShapes } from "../models/architecture.ts";
import type { ModelConfiguration } from "../models/configuration.ts";
import { quoted } from "../one-line.ts";
import { counted, grouped } from "../words.ts";
import { checkParameters } from "./check-parameters.ts";
import type { ModelFolder, StoredParameter } from "./folder.ts";
import { explainFolder } from "./foreign-files.ts";
import { fileNames } from "./model-path.ts";
import { openSafetensors, readTensor, type SafetensorsFile } from "./safetensors.ts";
import { byFamilyNames } from "./stored-names.ts";
import { holdTheSame } from "./tied-head.ts";

/** A tensor of a folder: where it lies, and what it is called there. */
interface FolderTensor extends StoredParameter {
  readonly opened: SafetensorsFile;
  readonly name: string;
}

/**
 * Opens a folder with a whole model.
 *
 * @param names of the files in the folder
 * @throws UserError if something is missing, unsupported, or does not fit together.
 */
export async function openPlainFolder(path: string, names: readonly string[]): Promise<ModelFolder> {
  const file = join(path, fileNames.configuration);
  const described = parseConfiguration(await readJson(file), file);
  const files = await openWeights(path, names);
  const place = files.length === 1 ? files[0]!.file : path;
  const stored = tensorsOf(files);
  checkLayers(described, stored.size, { file, place });
  const family = familyOf(described);
  const places = new Set([...parameterShapes(architectureOf(described)).keys(), family.untiedHead]);
  const named = byFamilyNames(stored, { ...family, isKnown: (name) => places.has(name) });
  const { configuration, tensors, notes } = await settleHead(described, named, place);
  const architecture = architectureOf(configuration);
  checkParameters(tensors, architecture, { place, isBuffer: (name) => family.buffers.test(name) });
  const shapes = parameterShapes(architecture);
  const parameters = new Map([...tensors].filter(([name]) => shapes.has(name)));
  return {
    path,
    configuration,
    architecture,
    notes: [...unknownKeyNotes(configuration, file), ...notes],
    parameters,
    tokenizerFolder: path,
    read: (name, into) => {
      const tensor = parameters.get(name);
      if (!tensor) throw new RangeError(`${path} has no parameter ${name}`);
      return readTensor(tensor.opened, tensor.name, into);
    },
  };
}

/** Keys that no class of the family reads change nothing; they may still be meant to. */
function unknownKeyNotes(configuration: ModelConfiguration, file: string): string[] {
  const unknown = unknownKeys(configuration.raw, familyOf(configuration).keys);
  if (unknown.length === 0) return [];
  const names = unknown
    .slice(0, 5)
    .map((key) => quoted(key))
    .join(", ");
  const more = unknown.length > 5 ? ` and ${unknown.length - 5} more` : "";
  return [`${file}: not used, since no ${configuration.family} model has them: ${names}${more}`];
}

function tensorsOf(files: readonly SafetensorsFile[]): Map<string, FolderTensor> {
  const tensors = new Map<string, FolderTensor>();
  for (const opened of files) {
    for (const [name, entry] of opened.tensors) {
      if (tensors.has(name)) throw new UserError("is in two files", { file: opened.file, field: name });
      tensors.set(name, { ...entry, file: opened.file, opened, name });
    }
  }
  return tensors;
}

/** A count of layers is held against the file before anything is made for each of them. */
function checkLayers(
  configuration: ModelConfiguration,
  tensors: number,
  { file, place }: { file: string; place: string },
): void {
  const { layers } = configuration;
  if (layers <= tensors) return;
  const problem = `is ${grouped(layers)}, but ${place} holds only ${counted(tensors, "tensor", "tensors")}`;
  throw new UserError(problem, { file, field: familyOf(configuration).layersKey, hint: "a layer has at least one" });
}

/**
 * Decides which matrix is the head, as transformers 5 does: a stored head that differs from the
 * embedding is used, whatever the configuration says. Of two tied matrices a file may hold either,
 * or both.
 */
async function settleHead(
  configuration: ModelConfiguration,
  tensors: Map<string, FolderTensor>,
  place: string,
): Promise<{ configuration: ModelConfiguration; tensors: Map<string, FolderTensor>; notes: string[] }> {
  const { embedding: name } = architectureOf(configuration);
  const { untiedHead } = familyOf(configuration);
  const [embedding, head] = [tensors.get(name), tensors.get(untiedHead)];
  const asDescribed = { configuration, tensors, notes: [] };
  if (!configuration.tiedEmbeddings || !head) return asDescribed;
  const others = new Map([...tensors].filter(([other]) => other !== untiedHead));
  if (!embedding) return { ...asDescribed, tensors: others.set(name, head) };
  if (await holdTheSame(embedding, head)) return { ...asDescribed, tensors: others };
  const note =
    `${place}: its ${untiedHead} differs from ${name}, although config.json says that they are one ` +
    "(tie_word_embeddings); the stored head is used";
  const raw = { ...configuration.raw, tie_word_embeddings: false };
  return { configuration: { ...configuration, tiedEmbeddings: false, raw }, tensors, notes: [note] };
}

/** True if the files of a folder, given by name, hold the weights of a whole model. */
export function holdsWeights(names: readonly string[]): boolean {
  return names.includes(fileNames.weights) || names.includes(fileNames.index);
}

async function openWeights(path: string, names: readonly string[]): Promise<SafetensorsFile[]> {
  if (names.includes(fileNames.weights)) return [await openSafetensors(join(path, fileNames.weights))];
  if (names.includes(fileNames.index)) return openShards(path, names);
  const missing = "holds no weights: neither model.safetensors nor its index";
  throw explainFolder(path, names, missing, "download them too, to where its config.json lies");
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
