import { z } from "zod";

const count = z.int().positive();
const rate = z.number().positive();
const decay = z.number().min(0).lt(1);
const files = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);

/** How strongly the policy is held to the reference. */
const beta = rate.default(0.1);

const objective = z
  .discriminatedUnion("name", [
    z.strictObject({ name: z.literal("sft"), mean: z.enum(["tokens", "sequences"]).default("tokens") }),
    z.strictObject({
      name: z.literal("dpo"),
      beta,
      labelSmoothing: z.number().min(0).max(0.5).default(0),
      referenceFree: z.boolean().default(false),
    }),
    z.strictObject({ name: z.literal("ipo"), beta }),
    z.strictObject({ name: z.literal("tdpo1"), beta }),
    z.strictObject({ name: z.literal("tdpo2"), beta, alpha: z.number().nonnegative().default(0.5) }),
  ])
  .describe("the loss");

const optimizer = z.discriminatedUnion("name", [
  z.strictObject({
    name: z.literal("adamw"),
    beta1: decay.default(0.9),
    beta2: decay.default(0.999),
    epsilon: rate.default(1e-8),
    weightDecay: z.number().nonnegative().default(0),
  }),
  z.strictObject({
    name: z.literal("rmsprop"),
    decay: decay.default(0.99),
    epsilon: rate.default(1e-8),
    weightDecay: z.number().nonnegative().default(0),
  }),
]);

const data = z.strictObject({
  train: files,
  /** Pairs from files of their own; instead of `heldOut`. */
  evaluation: files.optional(),
  /** Pairs (a count from 1, or a share below 1) split off `train` by prompt. */
  heldOut: z
    .number()
    .nonnegative()
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
  /** Tokens of prompt and longer answer together. */
  maxLength: count.optional(),
  /** Tokens that a prompt keeps at least when a pair must be cut. */
  maxPromptLength: count.optional(),
  truncation: z.enum(["keep_end", "keep_start"]).default("keep_end"),
  /** Texts joined and divided into windows of `maxLength`. */
  pack: z.boolean().default(false),
});

const init = z.strictObject({
  architecture: z.literal("llama"),
  width: count,
  layers: count,
  heads: count,
  keyValueHeads: count.optional(),
  headWidth: count.optional(),
  feedForwardWidth: count,
  contextLength: count,
  tiedEmbeddings: z.boolean().default(true),
  vocabularySize: count.optional(),
  /** Standard deviation of the initial weights. */
  standardDeviation: rate.default(0.02),
});

/** A recipe: all that a run depends on. Keys that are not listed here are errors. */
export const recipeSchema = z.strictObject({
  /** A model folder, or a run's folder. */
  model: z.string().min(1).optional(),
  /** A new model with random weights, instead of `model`. */
  init: init.optional(),
  /** A folder with a tokenizer.json; the model's own by default. `bytes`: one token per byte. */
  tokenizer: z.string().min(1).optional(),
  /** The frozen model to compare with: the starting model by default, or `none`. */
  reference: z.string().min(1).optional(),
  /** The run's folder. */
  output: z.string().min(1),
  seed: z
    .int()
    .nonnegative()
    .max(2 ** 32 - 1)
    .default(0),
  threads: count.optional(),
  data,
  objective,
  optimizer: optimizer.default({ name: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 }),
  learningRate: rate,
  warmupSteps: z.int().nonnegative().default(0),
  schedule: z.enum(["constant", "cosine"]).default("constant"),
  maxGradientNorm: rate.default(10),
  /** Examples per optimizer step. */
  batchSize: count.default(64),
  /** How long: one of the three. */
  epochs: rate.optional(),
  steps: count.optional(),
  examples: count.optional(),
  /** What is computed at once; the step's gradient is accumulated over such parts. */
  microbatch: z.strictObject({ tokens: count.default(2048), examples: count.optional() }).default({ tokens: 2048 }),
  /** Compute activations again in the backward pass instead of keeping them. */
  activationCheckpointing: z.boolean().default(false),
  evaluation: z
    .strictObject({
      everySteps: count.optional(),
      atStart: z.boolean().default(true),
      /** At most so many held-out examples. */
      examples: count.default(256),
      /** Answers of policy and reference to each of a few held-out prompts, written to samples.jsonl. */
      samples: z.int().nonnegative().default(0),
    })
    .default({ atStart: true, examples: 256, samples: 0 }),
  checkpoints: z
    .strictObject({
      everySteps: count.optional(),
      /** Without `everySteps`. */
      everyMinutes: rate.default(10),
      /** How many are kept. */
      keep: count.default(1),
    })
    .default({ everyMinutes: 10, keep: 1 }),
  logging: z
    .strictObject({ everySteps: count.default(1), minimumSeconds: z.number().nonnegative().default(0) })
    .default({ everySteps: 1, minimumSeconds: 0 }),
  /** How the trained model's weights are stored. */
  dtype: z.enum(["float32", "bfloat16"]).default("float32"),
});

export type Recipe = z.output<typeof recipeSchema>;
