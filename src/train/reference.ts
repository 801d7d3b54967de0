import { packBatch } from "../data/batch.ts";
import { longestSequence, type TokenizedExample } from "../data/example.ts";
import { epochOrder } from "../data/order.ts";
import { checkShortContext } from "../data/short-context.ts";
import type { Engine, FloatValue } from "../engine/engine.ts";
import { untilAborted } from "../engine/interruptible.ts";
import { gatherRows } from "../engine/rows.ts";
import { UserError } from "../errors.ts";
import type { Value } from "../graph/tensor.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Objective } from "../objectives/objective.ts";
import type { Recipe } from "../recipe/schema.ts";
import type { Reporter } from "../report.ts";
import type { StartingPoint } from "../runs/starting-point.ts";
import { type MicrobatchLimits, microbatches } from "../step/microbatches.ts";
import type { ReferenceModel } from "../step/reference-states.ts";
import { type ModelFolder, modelPath, openModelFolder } from "../storage/folder.ts";
import { vocabularyDifference } from "../storage/vocabulary.ts";
import { runLength } from "./loop.ts";
import { ReferenceCache, referenceCacheBytes } from "./reference-cache.ts";

/** Bytes of a cache that are worth a line to the user. */
const smallestNoted = 10e6;

/**
 * The model that the policy is compared with: the one that the run begins with, another one, or
 * nothing.
 */
export type ReferenceSource = "start" | ModelFolder | undefined;

/**
 * Opens the reference that a recipe names.
 *
 * @param examples all of the run
 * @throws UserError if the objective needs one and the recipe has none, if its token ids mean other
 * pieces of text, or if its context is too short for an example.
 */
export async function openReference(
  { reference }: Recipe,
  objective: Objective,
  { configuration: { vocabularySize }, tokenizerFolder }: Pick<StartingPoint, "configuration" | "tokenizerFolder">,
  examples: readonly TokenizedExample[],
): Promise<ReferenceSource> {
  if (objective.reference === "loss" && reference === "none")
    throw new UserError(`${objective.name} needs a reference`, { field: "reference" });
  if (objective.reference === "none" || reference === "none") return undefined;
  if (!reference) return "start";
  const opened = await openModelFolder(modelPath(reference));
  const { vocabularySize: size, contextLength } = opened.configuration;
  if (size !== vocabularySize)
    throw new UserError(`has a vocabulary of ${size} tokens, the policy has ${vocabularySize}`, { field: "reference" });
  const longest = longestSequence(examples);
  if (longest > contextLength) {
    const problem = `has a context of ${contextLength} tokens, and an example has ${longest}`;
    throw new UserError(problem, { field: "reference", hint: `set data.maxLength to ${contextLength} or less` });
  }
  const { shortContextLength } = opened.configuration;
  for (const example of examples) checkShortContext(example, { shortContextLength, name: "the reference" });
  const difference = await vocabularyDifference(tokenizerFolder, opened.tokenizerFolder);
  if (difference === undefined) return opened;
  const hint = "a reference must have the tokenizer of the model to train";
  throw new UserError(`${reference} means other tokens by the same ids: ${difference}`, { field: "reference", hint });
}

/** The frozen model of a run, as the learner takes it. */
export interface PreparedReference {
  /** Its head alone where every example is cached: a pass never needs the rest. */
  readonly model: ReferenceModel;
  readonly cache: ReferenceCache | undefined;
}

export interface ReferenceOptions {
  readonly engine: Engine;
  readonly policy: LanguageModel;
  /** True if the policy still has the reference's weights. */
  readonly policyIsReference: boolean;
  /**
   * Fingerprint of the model, for the cache; undefined where there is no folder to take it from.
   */
  readonly fingerprint: string | undefined;
  load(): Promise<LanguageModel>;
  readonly train: readonly TokenizedExample[];
  readonly heldOut: readonly TokenizedExample[];
  /** The file of the cache. */
  readonly file: string;
  readonly signal: AbortSignal;
  readonly events: Reporter;
}

/**
 * Loads the reference and opens the cache of its hidden states, where the recipe allows one and
 * examples come again. With `referenceCache.ahead` the cache is filled before the first step, and
 * all of the reference but its head leaves the memory; a policy that still has the reference's
 * weights fills it itself, so that these are never there twice. Where not every example got into
 * the cache, the whole reference stays.
 */
export async function prepareReference(recipe: Recipe, options: ReferenceOptions): Promise<PreparedReference> {
  const { engine, policy, policyIsReference, signal } = options;
  const { ahead } = recipe.referenceCache;
  const seen = seenExamples(recipe, options);
  const cache = await openCache(recipe, seen, options);
  const bytes = referenceCacheBytes(seen.keys(), policy.configuration.width);
  if (!cache || !ahead || bytes > budgetOf(recipe) || recipe.evaluation.samples > 0) {
    return { model: await options.load(), cache };
  }
  const source = policyIsReference ? policy : await options.load();
  const missing = [...seen.keys()].filter((example) => !cache.has(example));
  const fill = async () => {
    for await (const done of fillCache(engine, source, cache, missing, recipe.microbatch)) {
      options.events.progress({ activity: "reference", done, total: missing.length });
      if (signal.aborted) break;
    }
  };
  await untilAborted(engine, signal, fill, () => source.transformer.forgetTables());
  if (!signal.aborted && missing.some((example) => !cache.has(example))) {
    options.events.warn("not every example is in the reference cache: the whole reference stays in memory");
    return { model: policyIsReference ? await options.load() : source, cache };
  }
  return { model: headAlone(engine, source, { copy: policyIsReference }), cache };
}

/**
 * Computes the hidden states of examples into a cache, until it takes no more. Yields how many are
 * done.
 */
export async function* fillCache(
  engine: Engine,
  { transformer, parameters }: LanguageModel,
  cache: ReferenceCache,
  examples: readonly TokenizedExample[],
  limits: MicrobatchLimits,
): AsyncGenerator<number> {
  let done = 0;
  for (const part of microbatches(examples, limits)) {
    const { hidden } = await transformer.forward(parameters, packBatch(part), { save: "nothing" });
    await cache.addAll(part, await engine.read(hidden));
    engine.release(hidden);
    if (!part.every((example) => cache.has(example))) return;
    done += part.length;
    yield done;
  }
}

/**
 * A model that can be applied to hidden states, but not make them.
 *
 * @param options.copy leave the whole model as it is; otherwise the rest of it is given back
 */
export function headAlone(engine: Engine, model: LanguageModel, { copy }: { copy: boolean }): ReferenceModel {
  const { head, headBias } = model.transformer.architecture;
  const names = headBias === undefined ? [head] : [head, headBias];
  const parameters = new Map(names.map((name) => [name, model.parameters.get(name)!]));
  if (!copy) {
    const kept = new Set(parameters.values());
    for (const value of model.memory) if (!kept.has(value)) engine.release(value);
    return { ...model, parameters, memory: model.memory.filter((value) => kept.has(value)), headOnly: true };
  }
  const copied = new Map(Array.from(parameters, ([name, value]) => [name, copyOf(engine, value)]));
  return { ...model, parameters: copied, memory: [...copied.values()], headOnly: true };
}

function copyOf(engine: Engine, value: Value): FloatValue {
  return gatherRows(engine, value, [...Array(value.shape[0]).keys()]);
}

/** The cache, where it is of use and the file system allows it: a run can do without. */
async function openCache(
  recipe: Recipe,
  seen: ReadonlyMap<TokenizedExample, number>,
  { fingerprint, policy, train, file, events }: ReferenceOptions,
): Promise<ReferenceCache | undefined> {
  const { ahead } = recipe.referenceCache;
  const again = repeated(seen);
  const wanted = ahead ? new Set(seen.keys()) : again;
  const budget = budgetOf(recipe);
  if (budget === 0 || wanted.size === 0 || fingerprint === undefined) return undefined;
  const { width } = policy.configuration;
  const kept = recipe.lora?.base === "int4" && !recipe.reference ? " int4" : "";
  const identity = { reference: `${fingerprint}${kept}`, width };
  try {
    const cache = await ReferenceCache.open(file, identity, {
      budget,
      wanted,
      warn: (message) => events.warn(message),
    });
    const bytes = referenceCacheBytes(wanted, width);
    const trainingRepeats = train.some((example) => again.has(example));
    const note = cacheNote({ bytes, budget, examples: wanted.size, ahead, trainingRepeats });
    if (note) events.note(note);
    return cache;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    events.warn(`${error.message}; the reference is computed each time`);
    return undefined;
  }
}

/** The note on the cache; none if it is too small to be worth a line and was not asked for. */
export function cacheNote(cache: {
  /** The bytes that all examples take. */
  bytes: number;
  budget: number;
  examples: number;
  ahead: boolean;
  /** Otherwise only evaluations gain. */
  trainingRepeats: boolean;
}): string | undefined {
  const { bytes, budget, examples, ahead, trainingRepeats } = cache;
  if (bytes < smallestNoted && !ahead) return undefined;
  const kept = bytes <= budget ? "" : `, of which ${megabytes(budget)} are kept`;
  const gain = trainingRepeats ? "; a step without the reference's pass takes about a quarter less" : "";
  return `reference cache: ${megabytes(bytes)} for ${examples} examples${kept}${gain}`;
}

/** The examples that the reference sees, and how often. */
function seenExamples(
  recipe: Recipe,
  { train, heldOut }: Pick<ReferenceOptions, "train" | "heldOut">,
): Map<TokenizedExample, number> {
  const { totalExamples, totalSteps } = runLength(recipe, train.length);
  const { atStart, everySteps = Number.POSITIVE_INFINITY, examples } = recipe.evaluation;
  const evaluations = 1 + Number(atStart) + Math.floor((totalSteps - 1) / everySteps);
  const order = epochOrder(train.length, recipe.seed, 0).subarray(0, totalExamples);
  return new Map([
    ...Array.from(order, (index) => [train[index]!, totalExamples / train.length] as const),
    ...heldOut.slice(0, examples).map((example) => [example, evaluations] as const),
  ]);
}

function repeated(seen: ReadonlyMap<TokenizedExample, number>): Set<TokenizedExample> {
  return new Set([...seen].flatMap(([example, times]) => (times > 1 ? [example] : [])));
}

function budgetOf({ referenceCache }: Recipe): number {
  return referenceCache.gigabytes * 1e9;
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}
