import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Place, UserError } from "../errors.ts";
import { nextTurn } from "../event-loop.ts";
import { architectureOf } from "../families/registry.ts";
import { asUserError, isFolder, replaceFolderAtomic } from "../files/file-system.ts";
import { listFolder } from "../files/system-files.ts";
import { parameterShapes } from "../models/architecture.ts";
import type { ModelConfiguration } from "../models/configuration.ts";
import { bytesOf, firstNonFinite } from "../number-formats.ts";
import { fileNames } from "./model-path.ts";
import { type NamedTensor, roundedPieces, type StreamedTensor, writeSafetensors } from "./safetensors.ts";
import { elementCount } from "./safetensors-header.ts";

/** A parameter that is made when it is written, so that a model need not fit into memory. */
export type LazyParameter = () => Promise<Float32Array>;

/** A model to save. */
export interface SavedModel {
  configuration: ModelConfiguration;
  /**
   * By name, with the shapes of `parameterShapes`. Lazy ones are asked for once, in the order of
   * `parameterShapes`.
   */
  parameters: ReadonlyMap<string, Float32Array | LazyParameter>;
  /**
   * The tokenizer's files, or the folder to copy them from, usually that of the model the training
   * started with.
   */
  tokenizerFrom?: string | FolderFiles;
  /** The folder to copy generation_config.json from, where that of the tokenizer has none. */
  generationFrom?: string;
  /** The number format; float32 if absent, which loads bit for bit as it was. */
  dtype?: "float32" | "bfloat16";
  /**
   * The most bytes of data per file, by default 5 GB as in transformers. A larger tensor has a file
   * of its own.
   */
  shardBytes?: number;
}

type Tensor = NamedTensor | StreamedTensor;

/**
 * Files by name, in memory: a training can be saved although the folder that it began with is gone.
 */
export type FolderFiles = ReadonlyMap<string, Uint8Array>;

/** The files of a tokenizer, copied as they are. */
const tokenizerFiles = [
  "tokenizer.json",
  "tokenizer_config.json",
  "tokenizer.model",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "vocab.txt",
  "merges.txt",
  "chat_template.jinja",
  "chat_template.json",
];
/** A folder of further chat templates, which belong to the tokenizer, too. */
const templateFolder = "additional_chat_templates";
const generationFile = "generation_config.json";

/**
 * Saves a model in Hugging Face's layout, whole or not at all. A model folder that is already there
 * is replaced.
 *
 * @throws UserError if a number is NaN or infinite, if the folder holds files that replacing it
 * would lose, or where the file system refuses.
 */
export async function saveModelFolder(path: string, model: SavedModel): Promise<void> {
  const { configuration, tokenizerFrom, generationFrom, dtype = "float32", shardBytes = 5e9 } = model;
  const tensors = await tensorsToWrite(model, path);
  await checkReplaceable(path);
  await replaceFolderAtomic(path, async (folder) => {
    for (const from of [generationFrom, tokenizerFrom]) {
      if (from !== undefined) await writeFiles(from, folder, [generationFile]);
    }
    if (tokenizerFrom !== undefined) await copyTokenizer(tokenizerFrom, folder);
    await writeFile(join(folder, fileNames.configuration), formatConfiguration(configuration.raw, dtype));
    await writeWeights(folder, tensors, dtype, shardBytes);
  });
}

/**
 * Keys for which transformers wants a float: it refuses whole numbers, or warns of them. Python
 * tells 30.0 from 30, JavaScript does not.
 */
const floatKeys = [
  ...["rope_theta", "rope_local_base_freq", "factor", "low_freq_factor", "high_freq_factor", "attention_factor"],
  ...["beta_fast", "beta_slow", "mscale", "mscale_all_dim", "partial_rotary_factor"],
  ...["attn_logit_softcapping", "final_logit_softcapping", "initializer_range"],
  ...["rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon"],
];

/** The text of a config.json: what was read, with the dtype that is stored now. */
export function formatConfiguration(raw: ModelConfiguration["raw"], dtype: "float32" | "bfloat16"): string {
  // transformers 5 writes dtype, 4 torch_dtype.
  const keys = ["dtype", "torch_dtype"].filter((key) => key in raw);
  const updates = Object.fromEntries((keys.length > 0 ? keys : ["torch_dtype"]).map((key) => [key, dtype]));
  const text = JSON.stringify({ ...raw, ...updates }, undefined, 2);
  const whole = new RegExp(`^( *"(?:${floatKeys.join("|")})": \\d+)(?=,?$)`, "gm");
  return `${text.replace(whole, "$1.0")}\n`;
}

/**
 * The parameters in order, checked. Missing or surplus ones are our fault, numbers that diverged
 * are not.
 */
async function tensorsToWrite({ configuration, parameters, dtype }: SavedModel, path: string): Promise<Tensor[]> {
  const shapes = parameterShapes(architectureOf(configuration));
  const surplus = [...parameters.keys()].find((name) => !shapes.has(name));
  if (surplus !== undefined) throw new RangeError(`the model has no parameter ${surplus}`);
  const tensors: Tensor[] = [];
  for (const [name, shape] of shapes) {
    const data = parameters.get(name);
    if (!data) throw new RangeError(`parameter ${name} is missing`);
    const place = { file: path, field: name };
    if (typeof data === "function") {
      const format = dtype === "bfloat16" ? "BF16" : "F32";
      tensors.push({ name, shape, dtype: format, pieces: lazyPieces(data, format, place) });
    } else {
      checkFinite(data, place);
      tensors.push({ name, shape, data });
      // All at once takes seconds for a large model, in which Ctrl-C would not be heard.
      await nextTurn();
    }
  }
  return tensors;
}

async function* lazyPieces(make: LazyParameter, dtype: "BF16" | "F32", place: Place): AsyncGenerator<Uint8Array> {
  const data = await make();
  checkFinite(data, place);
  yield* dtype === "BF16" ? roundedPieces(data) : [bytesOf(data)];
}

/**
 * Checks that numbers are worth saving.
 *
 * @throws UserError if one is NaN or infinite.
 */
export function checkFinite(data: Float32Array, place: Place): void {
  const wrong = firstNonFinite(data);
  if (wrong < 0) return;
  const hint = "the training has diverged; lower the learning rate";
  throw new UserError(`not saved: ${data[wrong]} at index ${wrong}`, { ...place, hint });
}

/**
 * Checks that saving to `path` would lose nothing but a model or an adapter; worth doing before a
 * long training as well.
 *
 * @throws UserError if `path` is a file, or a folder that holds other files than theirs.
 */
export async function checkReplaceable(path: string): Promise<void> {
  if (!(await isFolder(path))) return;
  const known = [...Object.values(fileNames), ...tokenizerFiles, templateFolder, generationFile];
  const others = (await listFolder(path)).filter(
    (name) => !known.includes(name) && !/^model-\d{5}-of-\d{5}\.safetensors$/.test(name),
  );
  if (others.length === 0) return;
  const problem = `replacing the folder would delete ${others.slice(0, 4).join(", ")}${others.length > 4 ? ", …" : ""}`;
  throw new UserError(problem, { file: path, hint: "choose another folder" });
}

/** Writes the tokenizer of a model, as far as it is there, into another folder. */
export async function copyTokenizer(from: string | FolderFiles, to: string): Promise<void> {
  return writeFiles(from, to, [...tokenizerFiles, templateFolder]);
}

/**
 * The files of a model folder, besides weights and configuration, that go with a model trained from
 * it.
 */
export function readCompanions(folder: string): Promise<FolderFiles> {
  return readFiles(folder, [...tokenizerFiles, templateFolder, generationFile]);
}

/** @param wanted names of files, and of folders whose files go with them */
async function writeFiles(from: string | FolderFiles, to: string, wanted: readonly string[]): Promise<void> {
  const files = typeof from === "string" ? await readFiles(from, wanted) : from;
  // Not copyFile: it would copy a read-only mode as well.
  for (const [name, content] of files) {
    const [first, ...rest] = name.split("/");
    if (!wanted.includes(first!)) continue;
    if (rest.length > 0) await mkdir(join(to, first!), { recursive: true });
    await writeFile(join(to, name), content);
  }
}

async function readFiles(folder: string, wanted: readonly string[]): Promise<FolderFiles> {
  const files = new Map<string, Uint8Array>();
  try {
    const names = await readdir(folder);
    for (const name of wanted.filter((known) => names.includes(known))) {
      const inside = name === templateFolder ? (await readdir(join(folder, name))).filter(isTemplate) : undefined;
      for (const path of inside?.map((file) => `${name}/${file}`) ?? [name])
        files.set(path, await readFile(join(folder, path)));
    }
  } catch (error) {
    throw asUserError(error, folder, "cannot copy the tokenizer");
  }
  return files;
}

function isTemplate(file: string): boolean {
  return file.endsWith(".jinja");
}

async function writeWeights(
  folder: string,
  tensors: Tensor[],
  dtype: "float32" | "bfloat16",
  shardBytes: number,
): Promise<void> {
  const sizeOf = ({ shape }: Tensor) => elementCount(shape) * (dtype === "bfloat16" ? 2 : 4);
  const shards: Tensor[][] = [[]];
  let filled = 0;
  for (const tensor of tensors) {
    if (filled > 0 && filled + sizeOf(tensor) > shardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(tensor);
    filled += sizeOf(tensor);
  }
  if (shards.length === 1) return writeSafetensors(join(folder, fileNames.weights), tensors, { dtype });
  const places: [string, string][] = [];
  for (const [index, shard] of shards.entries()) {
    const [number, total] = [index + 1, shards.length].map((value) => String(value).padStart(5, "0"));
    const file = `model-${number}-of-${total}.safetensors`;
    await writeSafetensors(join(folder, file), shard, { dtype });
    places.push(...shard.map(({ name }): [string, string] => [name, file]));
  }
  const size = tensors.reduce((sum, tensor) => sum + sizeOf(tensor), 0);
  const index = { metadata: { total_size: size }, weight_map: Object.fromEntries(places) };
  await writeFile(join(folder, fileNames.index), `${JSON.stringify(index, undefined, 2)}\n`);
}
