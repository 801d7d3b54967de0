/**
 * The settings that fit a model and its data. What each is good for stands beside it in the recipe:
 * see `recipe-text.ts`.
 */
import { resolveLimits, truncate } from "../data/truncate.ts";
import { UserError } from "../errors.ts";
import type { Objective } from "../objectives/objective.ts";
import { runLength } from "../train/loop.ts";
import { chooseTraining, type TrainingChoice } from "./choose-training.ts";
import type { DataFindings, ModelFindings } from "./inspect.ts";
import { limitedLength, percentile, spreadOf } from "./lengths.ts";

/** The lengths that examples are cut to, and what that does to them. */
export interface LengthChoice {
  readonly maxLength: number;
  readonly maxPromptLength: number;
  /** Texts are joined and divided into windows instead of being cut. */
  readonly pack: boolean;
  /** Share of the tokenized examples that lose tokens. */
  readonly shareCut: number;
  /** Tokens of the examples as they are computed: the prompt once, then each response, all cut. */
  readonly sizes: readonly number[];
}

export interface HeldOutChoice {
  /** The number that the recipe asks for; 0 where nothing can be held out. */
  readonly heldOut: number;
  /** Prompts are taken whole, so there may be a few more. */
  readonly records: number;
}

export interface Choices {
  readonly training: TrainingChoice;
  readonly lengths: LengthChoice;
  readonly heldOut: HeldOutChoice;
  /** Examples of an epoch; an estimate where texts are packed. */
  readonly trainExamples: number;
  readonly batchSize: number;
  readonly epochs: number;
  readonly totalSteps: number;
  /** As it is written in the recipe. */
  readonly learningRate: string;
  readonly warmupSteps: number;
  readonly schedule: "constant" | "cosine";
  readonly microbatchTokens: number;
  readonly evaluationSteps: number;
  readonly checkpointSteps: number;
}

/** Longer examples than this are not worth their memory unless one knows better. */
const longestSensible = 2048;
/** Windows of packed texts. */
const windowLength = 512;
const mostHeldOut = 256;

/**
 * Learning rates for training all weights, by the size below which they hold: small models bear and
 * need larger ones.
 */
const learningRates: readonly (readonly [parameters: number, preference: string, supervised: string])[] = [
  [1e6, "1e-4", "1e-3"],
  [1e7, "5e-5", "5e-4"],
  [1e8, "2e-5", "1e-4"],
  [Number.POSITIVE_INFINITY, "5e-6", "2e-5"],
];

/**
 * Chooses all settings.
 *
 * @param machineBytes the memory of the machine
 */
export function choose(model: ModelFindings, data: DataFindings, objective: Objective, machineBytes: number): Choices {
  const lengths = chooseLengths(data, model);
  const heldOut = chooseHeldOut(data);
  const trainExamples = countTrainExamples(data, model, lengths, data.records - heldOut.records);
  const supervised = objective.responses === 1;
  const batchSize = powerOfTwoUpTo(Math.min(trainExamples, Math.max(4, Math.min(64, trainExamples / 50))));
  const epochs = chooseEpochs(trainExamples, supervised);
  const { totalSteps } = runLength({ epochs, batchSize }, trainExamples);
  const evaluationSteps = roundDown(totalSteps / 8);
  const microbatchTokens = Math.max(1280, roundUp(spreadOf(lengths.sizes).longest, 256));
  const settings = { sizes: lengths.sizes, batchSize, microbatchTokens };
  const training = chooseTraining(model, objective, settings, machineBytes);
  return {
    ...{ training, lengths, heldOut, trainExamples, batchSize, epochs, totalSteps },
    learningRate: learningRateFor(model.parameters, { supervised, adapter: training.what !== "whole model" }),
    warmupSteps: Math.min(150, Math.round(totalSteps / 10)),
    schedule: supervised ? "cosine" : "constant",
    microbatchTokens,
    evaluationSteps,
    checkpointSteps: 2 * evaluationSteps,
  };
}

/**
 * The usual learning rate for a model with so many parameters, as it is written in a recipe.
 * Adapters learn best with ten times that of the whole model, whatever their rank (Schulman et al.
 * 2025, "LoRA Without Regret", with alpha 32 as here).
 */
export function learningRateFor(
  parameters: number,
  { supervised, adapter }: { supervised: boolean; adapter: boolean },
): string {
  const [, preference, supervision] = learningRates.find(([size]) => parameters < size)!;
  const whole = supervised ? supervision : preference;
  return adapter ? (10 * Number(whole)).toExponential(0) : whole;
}

/**
 * The limits that all examples fit, or all but one in a hundred where the others are much longer.
 * Texts that would often be cut are packed instead.
 */
export function chooseLengths(
  { examples, form }: Pick<DataFindings, "examples" | "form">,
  { configuration: { contextLength }, tokenizer }: Pick<ModelFindings, "configuration" | "tokenizer">,
): LengthChoice {
  const sorted = Float64Array.from(examples, limitedLength).sort();
  const [most, longest] = [percentile(sorted, 0.99), percentile(sorted, 1)];
  const limit = Math.min(contextLength, longestSensible);
  const wanted = longest <= limit && (longest <= 512 || longest <= 2 * most) ? longest : most;
  const maxLength = Math.max(2, Math.min(limit, roundUp(wanted, 16)));
  const shareCut = sorted.filter((length) => length > maxLength).length / sorted.length;
  const pack = form.packs && shareCut > 0.01;
  if (pack) {
    const window = Math.min(contextLength, windowLength);
    return { maxLength: window, maxPromptLength: 1, pack, shareCut: 0, sizes: examples.map(() => window) };
  }
  const limits = resolveLimits({ maxLength });
  const bosId = tokenizer.addsBos ? tokenizer.bosId : undefined;
  const sizes = examples.map(({ prompt, responses }) => {
    const whole = responses.map((response) => [...response]);
    const cut = truncate([...prompt], whole, limits, bosId);
    return cut.responses.reduce((sum, { length }) => sum + length, cut.prompt.length);
  });
  return { maxLength, maxPromptLength: limits.maxPromptLength, pack, shareCut, sizes };
}

/** A tenth, at most 256; nothing where that would leave too little to train on. */
function chooseHeldOut({ form, items, records }: DataFindings): HeldOutChoice {
  const heldOut = Math.min(mostHeldOut, Math.max(1, Math.round(records / 10)));
  const nothing = { heldOut: 0, records: 0 };
  try {
    const split = form.split(items, { heldOut, seed: 0 });
    // A prompt with very many pairs goes to one side as a whole.
    return split.train.length < records / 2 ? nothing : { heldOut, records: split.heldOut.length };
  } catch (error) {
    if (error instanceof UserError) return nothing;
    throw error;
  }
}

/** Examples that the training records make: one each, or windows of packed texts. */
function countTrainExamples(
  { examples }: DataFindings,
  { tokenizer }: ModelFindings,
  { pack, maxLength }: LengthChoice,
  trainRecords: number,
): number {
  if (!pack) return trainRecords;
  const starts = tokenizer.addsBos ? examples.length : 0;
  const tokens = examples.reduce((sum, { responses }) => sum + responses[0]!.length, starts);
  return Math.max(1, Math.ceil(((tokens / examples.length) * trainRecords) / (maxLength - 1)));
}

/** Preferences are learnt fast and overlearnt fast. */
function chooseEpochs(examples: number, supervised: boolean): number {
  if (supervised) return examples >= 20_000 ? 1 : 3;
  return examples >= 1000 ? 1 : examples >= 300 ? 2 : 3;
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

function powerOfTwoUpTo(value: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, value)));
}

/** The largest of 1, 2, 5, 10, 20, 50, … that is not above the value; 1 for less. */
function roundDown(value: number): number {
  if (value < 1) return 1;
  const ten = 10 ** Math.floor(Math.log10(value));
  return ([5, 2].find((step) => step * ten <= value) ?? 1) * ten;
}
