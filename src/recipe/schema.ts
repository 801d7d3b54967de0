import { z } from "zod";
import { promptPresetNames } from "../importance/prompt-templates.ts";
import { defaultTransform } from "../importance/transforms.ts";
import { count, countOrNone, mostThreads, nonnegative, positive, within } from "../numbers.ts";
import { objectiveSchema } from "../objectives/index.ts";
import { expandHome, pathProblem } from "../user-path.ts";

const decay = z.number().min(0).lt(1);

/** A file or folder; `~/` is the home folder. */
const path = z.string().min(1).transform(meant);
const files = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1)], "must be a text or a list of texts")
  .transform((given, context) =>
    typeof given === "string" ? meant(given, context) : given.map((one) => meant(one, context)),
  );

function meant(text: string, { issues }: Pick<z.core.$RefinementCtx, "issues">): string {
  const { problem, hint } = pathProblem(text) ?? {};
  if (problem !== undefined) issues.push({ code: "custom", message: problem, input: text, params: { hint } });
  return expandHome(text);
}

const optimizer = z.discriminatedUnion("name", [
  z.strictObject({
    name: z.literal("adamw"),
    beta1: decay.default(0.9),
    beta2: decay.default(0.999),
    epsilon: positive(1).default(1e-8),
    weightDecay: nonnegative(1000).default(0),
  }),
  z.strictObject({
    name: z.literal("rmsprop"),
    decay: decay.default(0.99),
    epsilon: positive(1).default(1e-8),
    weightDecay: nonnegative(1000).default(0),
  }),
]);

const data = z.strictObject({
  train: files,
  /** Pairs from files of their own; instead of `heldOut`. */
  evaluation: files.optional(),
  /** Pairs (a count from 1, or a share below 1) split off `train` by prompt. */
  heldOut: nonnegative(1e9)
    .refine((value) => value < 1 || Number.isInteger(value), "must be a count, or a share below 1")
    .default(0),
  format: z.enum(["pairs", "text"]).default("pairs"),
  columns: z
    .strictObject({
      prompt: z.string().optional(),
      chosen: z.string().optional(),
      rejected: z.string().optional(),
      text: z.string().optional(),
    })
    .default({}),
  onBadPair: z.enum(["error", "skip"]).default("error"),
  /** Where both answers begin with the prompt: leave it there, or take it off both. */
  repeatedPrompt: z.enum(["keep", "strip"]).default("keep"),
  /** Special tokens that a text spells out: tokens, as in transformers, plain text, or an error. */
  specialTokens: z.enum(["token", "text", "error"]).default("token"),
  /** Read so many pairs or texts of `train`, from its beginning. */
  limit: count().optional(),
  /** Tokens of prompt and longer answer together. */
  maxLength: count().optional(),
  /** Tokens that a prompt keeps at least when a pair must be cut. */
  maxPromptLength: count().optional(),
  truncation: z.enum(["keep_end", "keep_start"]).default("keep_end"),
  /** Texts joined and divided into windows of `maxLength`. */
  pack: z.boolean().default(false),
});

const clamps = { lower: within(1e6).default(-1.5), upper: within(1e6).default(1.5) };
const range = { least: within(1e6).default(0.7), most: within(1e6).default(1.3) };

/** How log-ratios become weights; see `createTransform`. */
const transforms = z.discriminatedUnion("name", [
  z.strictObject({
    name: z.literal("exp-clamp"),
    k: positive(1e6).default(defaultTransform.k),
    mu: positive(100).default(defaultTransform.mu),
    lower: within(1e6).default(defaultTransform.lower),
    upper: within(1e6).default(defaultTransform.upper),
  }),
  z.strictObject({ name: z.literal("magnitude"), mu: positive(100).default(1), limit: positive(1e6).default(1.5) }),
  z.strictObject({ name: z.literal("raw") }),
  z.strictObject({ name: z.literal("binary"), share: z.number().positive().max(1).default(0.5) }),
  z.strictObject({ name: z.literal("threshold"), lower: within(1e6).default(-1), upper: within(1e6).default(1) }),
  z.strictObject({ name: z.literal("threshold-and-scale"), ...clamps, ...range }),
  z.strictObject({ name: z.literal("rank"), ...range }),
  z.strictObject({ name: z.literal("random"), ...range }),
  z.strictObject({ name: z.literal("ones") }),
]);
const transform = z.preprocess(
  // Settings without a name are those of the default.
  (value) =>
    typeof value === "object" && value !== null && !("name" in value)
      ? { name: defaultTransform.name, ...value }
      : value,
  transforms.default(defaultTransform),
);

const learningRate = positive(1000, "the optimizer moves every weight by about this much in each step");
const batchSize = count(1e6, "the examples of one step are in memory together");
const epochs = positive(1e6);

/** What the training of the two contrastive models does otherwise than the recipe itself. */
const contrastiveTraining = z
  .strictObject({
    beta: positive(1e4).optional(),
    learningRate: learningRate.optional(),
    warmupSteps: countOrNone().optional(),
    schedule: z.enum(["constant", "cosine"]).optional(),
    batchSize: batchSize.optional(),
    epochs: epochs.optional(),
    steps: count().optional(),
    examples: count().optional(),
  })
  .default({});

/** Where the contrastive models and their estimates are kept: `contrastive` in the run's folder by default. */
const folder = path.optional();

/** Importance weights of tokens: which two models estimate them, and how log-ratios become weights. */
const weights = z.discriminatedUnion("from", [
  /** DPO on the pairs, and on the swapped pairs. */
  z.strictObject({ from: z.literal("dpo"), training: contrastiveTraining, folder, transform }),
  /** Supervised fine-tuning on the chosen answers, and on the rejected ones. */
  z.strictObject({ from: z.literal("sft"), training: contrastiveTraining, folder, transform }),
  /** The starting model under a positive and under a negative instruction. */
  z.strictObject({
    from: z.literal("prompts"),
    preset: z.enum(promptPresetNames).optional(),
    positive: z.string().optional(),
    negative: z.string().optional(),
    folder,
    transform,
  }),
  /** Any two models. */
  z.strictObject({
    from: z.literal("models"),
    positive: path,
    negative: path,
    folder,
    transform,
  }),
  /** Estimates that `tokenwise weigh` wrote. */
  z.strictObject({ from: z.literal("file"), file: path, transform }),
]);

const init = z.strictObject({
  architecture: z.literal("llama"),
  width: count(1e6),
  layers: count(10_000),
  heads: count(10_000),
  keyValueHeads: count(10_000).optional(),
  headWidth: count(1e6).optional(),
  feedForwardWidth: count(1e7),
  contextLength: count(1e8),
  tiedEmbeddings: z.boolean().default(true),
  vocabularySize: count(1e8).optional(),
  /** Standard deviation of the initial weights. */
  standardDeviation: positive(100).default(0.02),
});

/** A low-rank adapter; see `LoraSettings`. */
const lora = z.strictObject({
  rank: count().default(16),
  alpha: positive(1e6, "what the adapter computes is multiplied by alpha / rank").default(32),
  dropout: decay.default(0),
  targetModules: z
    .union([z.literal("all-linear"), z.array(z.string().min(1)).min(1)], 'must be "all-linear" or a list of names')
    .default("all-linear"),
  rslora: z.boolean().default(false),
  /** How the frozen weights are kept in memory: as the file stores them, or quantised to 4 bits. */
  base: z.enum(["stored", "int4"]).default("stored"),
});

/** A recipe: all that a run depends on. Keys that are not listed here are errors. */
export const recipeSchema = z.strictObject({
  /** A model folder, or a run's folder. */
  model: path.optional(),
  /** A new model with random weights, instead of `model`. */
  init: init.optional(),
  /** A folder with a tokenizer.json; the model's own by default. `bytes`: one token per byte. */
  tokenizer: path.optional(),
  /** The frozen model to compare with: the starting model by default, or `none`. */
  reference: path.optional(),
  /** The run's folder. */
  output: path,
  seed: z
    .int()
    .nonnegative()
    .max(2 ** 32 - 1)
    .default(0),
  threads: count(mostThreads, "no processor has so many cores").optional(),
  data,
  objective: objectiveSchema.describe("the loss"),
  weights: weights.optional(),
  /** Train an adapter on the frozen model instead of the model itself. */
  lora: lora.optional(),
  optimizer: optimizer.default({ name: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 }),
  learningRate,
  warmupSteps: countOrNone().default(0),
  schedule: z.enum(["constant", "cosine"]).default("constant"),
  maxGradientNorm: positive().default(10),
  /** Examples per optimizer step. */
  batchSize: batchSize.default(64),
  /** How long: one of the three. */
  epochs: epochs.optional(),
  steps: count().optional(),
  examples: count().optional(),
  /** What is computed at once; the step's gradient is accumulated over such parts. */
  microbatch: z
    .strictObject({
      tokens: count(1e7, "they are computed at once").default(1280),
      examples: count(1e6).optional(),
    })
    .default({ tokens: 1280 }),
  /** How much memory the run may take, such as `2GB`: what does not cost much time is done to keep to it. */
  memory: z
    .string()
    .regex(/^\d+(\.\d+)?\s*(MB|GB)$/, "must be a size such as 2GB or 800MB")
    .refine((size) => Number.parseFloat(size) > 0, "must be more than nothing, such as 2GB")
    .refine((size) => Number.parseFloat(size) <= 1e6, "must be a size that a machine has, such as 2GB")
    .optional(),
  /** Compute activations again in the backward pass instead of keeping them. */
  activationCheckpointing: z.boolean().default(false),
  /** The reference's hidden states on disk, for examples that come again: at most so many gigabytes; 0 keeps none. */
  referenceCache: z
    .strictObject({
      gigabytes: nonnegative(1e6).default(4),
      /** Fill it before the first step, so that the reference itself need not stay in memory. */
      ahead: z.boolean().default(false),
    })
    .default({ gigabytes: 4, ahead: false }),
  evaluation: z
    .strictObject({
      everySteps: count().optional(),
      atStart: z.boolean().default(true),
      /** At most so many held-out examples. */
      examples: count().default(256),
      /** Answers of policy and reference to each of a few held-out prompts, written to samples.jsonl. */
      samples: countOrNone(1e4).default(0),
    })
    .default({ atStart: true, examples: 256, samples: 0 }),
  checkpoints: z
    .strictObject({
      everySteps: count().optional(),
      /** Without `everySteps`. */
      everyMinutes: positive(1e6).default(10),
      /** How many are kept. */
      keep: count().default(1),
    })
    .default({ everyMinutes: 10, keep: 1 }),
  logging: z
    .strictObject({ everySteps: count().default(1), minimumSeconds: nonnegative(1e6).default(0) })
    .default({ everySteps: 1, minimumSeconds: 0 }),
  /** How the trained model's weights are stored. */
  dtype: z.enum(["float32", "bfloat16"]).default("float32"),
});

export type Recipe = z.output<typeof recipeSchema>;
