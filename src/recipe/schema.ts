import { z } from "zod";
import { count, countOrNone, mostThreads, nonnegative, positive } from "../numbers.ts";
import { objectiveSchema } from "../objectives/index.ts";
import { dataSettings } from "./data-settings.ts";
import { path } from "./path-settings.ts";
import { batchSize, epochs, learningRate, loraSettings, optimizerSettings } from "./training-settings.ts";
import { weightsSettings } from "./weights-settings.ts";

/**
 * The role of a key in the identity of a run:
 * - `result`: another value makes another run;
 * - `length`: how far the run goes; a run may be resumed with another value;
 * - `source`: where something comes from, which is identified by its content;
 * - `machine`: no part in the trained model.
 */
export type KeyRole = "result" | "length" | "source" | "machine";

/** Keys of a recipe, by the names that they have in files. */
const result = { role: "result" } as const;
const length = { role: "length" } as const;
const source = { role: "source" } as const;
const machine = { role: "machine" } as const;

const init = z.strictObject({
  architecture: z.literal("llama").describe("the family of the new model"),
  width: count(1e6).describe("numbers of a hidden state"),
  layers: count(10_000).describe("blocks"),
  heads: count(10_000).describe("attention heads"),
  keyValueHeads: count(10_000).optional().describe("heads of keys and values; as many as `heads`"),
  headWidth: count(1e6).optional().describe("numbers of a head; `width / heads`"),
  feedForwardWidth: count(1e7).describe("inner numbers of the MLP"),
  contextLength: count(1e8).describe("tokens that the model is made for"),
  tiedEmbeddings: z.boolean().default(true).describe("whether the head is the embedding matrix"),
  vocabularySize: count(1e8).optional().describe("rows of the embedding; the tokenizer's vocabulary"),
  standardDeviation: positive(100).default(0.02).describe("of the random weights"),
});

const memory = z
  .string()
  .regex(/^\d+(\.\d+)?\s*(MB|GB)$/, "must be a size such as 2GB or 800MB")
  .refine((size) => Number.parseFloat(size) > 0, "must be more than nothing, such as 2GB")
  .refine((size) => Number.parseFloat(size) <= 1e6, "must be a size that a machine has, such as 2GB");

const microbatch = z.strictObject({
  tokens: count(1e7, "they are computed at once").default(1280).describe("tokens at most"),
  examples: count(1e6).optional().describe("examples at most"),
});

const referenceCache = z.strictObject({
  gigabytes: nonnegative(1e6).default(4).describe("the size of the file at most; 0 keeps none"),
  ahead: z
    .boolean()
    .default(false)
    .describe("fill it before the first step, so that only the reference's head stays in memory"),
});

const evaluation = z.strictObject({
  everySteps: count().optional().describe("evaluate after so many steps; always at the end"),
  atStart: z.boolean().default(true).describe("evaluate before the first step"),
  examples: count().default(256).describe("held-out examples at most, the first ones"),
  samples: countOrNone(1e4)
    .default(0)
    .describe("answers to each of the first 8 held-out prompts at each evaluation, written to samples.jsonl"),
});

const checkpoints = z.strictObject({
  everySteps: count().optional().describe("write one after so many steps"),
  everyMinutes: positive(1e6).default(10).describe("write one after so many minutes, without `everySteps`"),
  keep: count().default(1).describe("how many are kept, the newest ones"),
});

const logging = z.strictObject({
  everySteps: count().default(1).describe("a line of metrics.jsonl for so many steps"),
  minimumSeconds: nonnegative(1e6).default(0).describe("and for so many seconds of training at least"),
});

/** A recipe: all that a run depends on. Keys that are not listed here are errors. */
export const recipeSchema = z.strictObject({
  model: path
    .optional()
    .describe("the folder of the model to train: in Hugging Face's layout, an adapter, or a run's folder")
    .meta({ ...source, example: "models/smollm2-135m" }),
  init: init
    .optional()
    .describe("a new model with random weights, instead of `model`")
    .meta({
      ...source,
      example: { architecture: "llama", width: 256, layers: 6, heads: 4, feedForwardWidth: 688, contextLength: 512 },
    }),
  tokenizer: path
    .optional()
    .describe("a folder with a tokenizer.json, or `bytes` for one token per byte; the model's own by default")
    .meta(source),
  reference: path
    .optional()
    .describe("the frozen model to compare with, or `none`; the starting model by default")
    .meta({ ...source, example: "runs/sft" }),
  output: path.describe("the run's folder").meta({ ...machine, example: "runs/my-run" }),
  seed: z
    .int()
    .nonnegative()
    .max(2 ** 32 - 1)
    .default(0)
    .describe("fixes the order of the data, the split, dropout, and new weights")
    .meta(result),
  threads: count(mostThreads, "no processor has so many cores")
    .optional()
    .describe("threads that compute; all cores by default")
    .meta(machine),
  data: dataSettings.describe("the examples").meta({ ...source, example: { train: "pairs.jsonl", heldOut: 0.1 } }),
  objective: objectiveSchema
    .describe("the loss, by its name; see [the objectives](../README.md#objectives)")
    .meta({ ...result, example: { name: "tdpo2", beta: 0.1, alpha: 0.5 } }),
  weights: weightsSettings
    .optional()
    .describe("importance weights of tokens: `from` says which two models estimate them; none by default")
    .meta({ ...source, example: { from: "dpo" } }),
  lora: loraSettings
    .optional()
    .describe("train a low-rank adapter on the frozen model instead of the model itself; `{}` takes all defaults")
    .meta({ ...result, example: { rank: 16, alpha: 32 } }),
  optimizer: optimizerSettings
    .default({ name: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 })
    .describe("the optimizer; AdamW by default")
    .meta({ ...result, example: { name: "rmsprop" } }),
  learningRate: learningRate.describe("the step size after the warm-up").meta({ ...result, example: 5e-6 }),
  warmupSteps: countOrNone().default(0).describe("steps of linear warm-up").meta(result),
  schedule: z
    .enum(["constant", "cosine"])
    .default("constant")
    .describe("the learning rate after the warm-up: constant, or half a cosine down to 0")
    .meta(result),
  maxGradientNorm: positive()
    .default(10)
    .describe("gradients with a larger Euclidean norm are scaled down to it")
    .meta(result),
  batchSize: batchSize.default(64).describe("examples of one optimizer step").meta(result),
  epochs: epochs
    .optional()
    .describe("how long, in passes over the data: one of `epochs`, `steps` and `examples`")
    .meta({ ...length, example: 1 }),
  steps: count().optional().describe("how long, in optimizer steps").meta(length),
  examples: count().optional().describe("how long, in examples").meta(length),
  microbatch: microbatch
    .default({ tokens: 1280 })
    .describe("what is computed at once: gradients of such parts add up to the step's, so the result is the same")
    .meta(machine),
  memory: memory
    .optional()
    .describe(
      "the memory that the run may take: the reference is cached ahead, then activations are computed again, as far as " +
        "needed by estimate",
    )
    .meta({ ...machine, example: "2GB" }),
  activationCheckpointing: z
    .boolean()
    .default(false)
    .describe("compute activations again in the backward pass instead of keeping them")
    .meta(machine),
  referenceCache: referenceCache
    .default({ gigabytes: 4, ahead: false })
    .describe("the reference's hidden states on disk while the run lasts, for examples that come again")
    .meta(machine),
  evaluation: evaluation
    .default({ atStart: true, examples: 256, samples: 0 })
    .describe("metrics of held-out examples")
    .meta(machine),
  checkpoints: checkpoints
    .default({ everyMinutes: 10, keep: 1 })
    .describe("what `resume` continues from")
    .meta(machine),
  logging: logging
    .default({ everySteps: 1, minimumSeconds: 0 })
    .describe("how often metrics are recorded")
    .meta(machine),
  dtype: z
    .enum(["float32", "bfloat16"])
    .default("float32")
    .describe("how the trained model is stored; training itself is in float32")
    .meta(machine),
});

export type Recipe = z.output<typeof recipeSchema>;

/** The keys of a recipe with one of the roles. */
export function keysWithRole(...roles: readonly KeyRole[]): (keyof Recipe)[] {
  return Object.entries(recipeSchema.shape)
    .filter(([, schema]) => roles.includes(schema.meta()?.role as KeyRole))
    .map(([key]) => key as keyof Recipe);
}
