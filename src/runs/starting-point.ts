import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeByteTokenizer } from "../data/tokens/byte-tokenizer.ts";
import { loadTokenizer } from "../data/tokens/load-tokenizer.ts";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import type { Engine } from "../engine/engine.ts";
import { UserError } from "../errors.ts";
import { newLlama } from "../families/new-llama.ts";
import { architectureOf } from "../families/registry.ts";
import { elementCount } from "../graph/tensor.ts";
import type { ModelConfiguration } from "../models/configuration.ts";
import { initializeLanguageModel } from "../models/initialize.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { adapterShapes, fullRank, type LoraSettings, resolveTargets } from "../models/lora.ts";
import type { Recipe } from "../recipe/schema.ts";
import { type ModelFolder, modelPath, openModelFolder } from "../storage/folder.ts";
import { frozenBytes } from "../storage/frozen-parameters.ts";
import { type AdapterOptions, type LoadOptions, loadLanguageModel, loadWithAdapter } from "../storage/load-model.ts";
import { loadModelTokenizer } from "../storage/model-tokenizer.ts";

/** The part of a model that trains, by the facts that its memory depends on. */
export interface TrainedModel {
  readonly configuration: ModelConfiguration;
  /**
   * An adapter: how many numbers it has, and what the frozen model takes besides what is mapped
   * from its file.
   */
  readonly adapter?: { readonly parameters: number; readonly frozenBytes: number } | undefined;
}

/** The model and the tokenizer that a run begins with; weights are loaded later. */
export interface StartingPoint {
  /** Undefined for a new model. */
  readonly folder: ModelFolder | undefined;
  readonly configuration: ModelConfiguration;
  readonly tokenizer: Tokenizer;
  readonly tokenizerFolder: string;
  /** The adapter to train; undefined where the model itself trains. */
  readonly adapter: (AdapterOptions & NonNullable<TrainedModel["adapter"]>) | undefined;
  /** Settings of the recipe without effect, and notes on the model for the user. */
  readonly warnings: readonly string[];
  /** Loads the model that training begins with. */
  load(engine: Engine, options?: LoadOptions): Promise<LanguageModel>;
  /** Loads the model that training goes on with, from the model folder of a checkpoint. */
  resume(engine: Engine, checkpoint: string): Promise<LanguageModel>;
}

type Start = Pick<Recipe, "model" | "init" | "seed" | "lora">;

/**
 * Calls `use` with the folder of the tokenizer that a recipe names, if it names one; that of
 * `bytes` is there until the call is done.
 */
export async function withTokenizerFolder<Result>(
  { tokenizer }: Pick<Recipe, "tokenizer">,
  use: (folder: string | undefined) => Promise<Result>,
): Promise<Result> {
  if (tokenizer !== "bytes") return use(tokenizer);
  const { folder, remove } = await temporaryByteTokenizer();
  try {
    return await use(folder);
  } finally {
    remove();
  }
}

/** @param tokenizerGiven a folder with the tokenizer, where it is not that of `recipe.model` */
export async function startingPoint(recipe: Start, tokenizerGiven: string | undefined): Promise<StartingPoint> {
  if (recipe.init) return newModel(recipe, recipe.init, tokenizerGiven!);
  const opened = await openModelFolder(modelPath(recipe.model!));
  const tokenizerFolder = tokenizerGiven ?? opened.tokenizerFolder;
  const { configuration } = opened;
  const tokenizer = await loadModelTokenizer(opened, tokenizerFolder);
  const adapter = adapterOf(recipe, opened);
  const base = (opened.base ?? opened).path;
  return {
    folder: opened,
    configuration,
    tokenizer,
    tokenizerFolder,
    adapter,
    warnings: [...opened.notes, ...tokenizer.warnings, ...shapeWarnings(recipe, opened)],
    load: (engine, options) =>
      adapter
        ? loadWithAdapter(engine, opened, { ...adapter, like: options?.like })
        : loadLanguageModel(engine, opened, options),
    resume: async (engine, checkpoint) =>
      adapter
        ? loadWithAdapter(engine, await openModelFolder(checkpoint, { base }), adapter)
        : loadLanguageModel(engine, checkpoint),
  };
}

/** The adapter that trains, if one does: the folder's own, or the one that the recipe asks for. */
export function adapterOf(recipe: Pick<Start, "seed" | "lora">, folder: ModelFolder): StartingPoint["adapter"] {
  const lora = loraOf(recipe, folder);
  if (!lora) return undefined;
  const { architecture } = folder;
  const base = recipe.lora?.base ?? "stored";
  const shapes = [...adapterShapes(architecture, lora).values()];
  const parameters = shapes.reduce((sum, shape) => sum + elementCount(shape), 0);
  const ownBytes = frozenBytes(folder.base ?? folder, base);
  return { lora, seed: recipe.seed, base, parameters, frozenBytes: ownBytes };
}

/**
 * An adapter that is there already goes on with its own rank, scale and modules; the recipe may
 * change its dropout.
 */
function loraOf(
  { lora: asked }: Pick<Start, "lora">,
  { lora: stored, architecture }: ModelFolder,
): LoraSettings | undefined {
  if (stored) return { ...stored, ...(asked && { dropout: asked.dropout }) };
  if (!asked) return undefined;
  const { base: _, targetModules: names, ...shape } = asked;
  const targetModules = resolveTargets(names, architecture);
  const most = fullRank(architecture, targetModules);
  if (shape.rank > most) {
    const problem = `is ${shape.rank}, but no layer that the adapter is put on has a rank above ${most}`;
    throw new UserError(problem, { field: "lora.rank", hint: "adapters have a far lower rank, such as 16" });
  }
  return { ...shape, targetModules };
}

/** Warnings for a recipe that has another shape for an adapter than it has already. */
function shapeWarnings({ lora: asked, model }: Start, { lora: stored, architecture }: ModelFolder): string[] {
  if (!asked || !stored) return [];
  const { base: _base, dropout: _dropout, ...shape } = asked;
  const targetModules = resolveTargets(shape.targetModules, architecture);
  const differences = Object.entries({ ...shape, targetModules }).flatMap(([key, value]) => {
    const own = stored[key as keyof LoraSettings];
    return String(value) === String(own) ? [] : [`${key} ${list(own)}, not ${list(value)}`];
  });
  return differences.length > 0 ? [`lora: the adapter of ${model} goes on as it is: ${differences.join("; ")}`] : [];
}

function list(value: unknown): string {
  return Array.isArray(value) ? value.join(", ") : String(value);
}

async function newModel(
  { seed }: Pick<Recipe, "seed">,
  init: NonNullable<Recipe["init"]>,
  tokenizerFolder: string,
): Promise<StartingPoint> {
  const tokenizer = await loadTokenizer(tokenizerFolder);
  const { architecture: _, standardDeviation, vocabularySize = tokenizer.vocabularySize, ...sizes } = init;
  const { bosId, eosIds } = tokenizer;
  const configuration = newLlama({
    ...withoutUndefined(sizes),
    vocabularySize,
    ...(bosId !== undefined && { bosTokenId: bosId }),
    eosTokenIds: [...eosIds],
  });
  return {
    folder: undefined,
    configuration,
    tokenizer,
    tokenizerFolder,
    adapter: undefined,
    warnings: tokenizer.warnings,
    load: (engine, options) =>
      initializeLanguageModel(engine, architectureOf(configuration), { seed, standardDeviation, like: options?.like }),
    resume: loadLanguageModel,
  };
}

/** The byte tokenizer in a folder of its own; the models' folders get copies. */
async function temporaryByteTokenizer(): Promise<{ folder: string; remove: () => void }> {
  const folder = await mkdtemp(join(tmpdir(), "tokenwise-"));
  const remove = () => {
    process.off("exit", remove);
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", remove);
  // Texts and prompts then begin alike, so that a model trained on texts knows where it is in a
  // prompt.
  await writeByteTokenizer(folder, [], { addBos: true });
  return { folder, remove };
}

function withoutUndefined<T extends object>(object: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never;
}
