import { z } from "zod";
import { promptPresetNames } from "../importance/prompt-templates.ts";
import { defaultTransform } from "../importance/transforms.ts";
import { count, countOrNone, positive, within } from "../numbers.ts";
import { path } from "./path-settings.ts";
import { batchSize, epochs, learningRate } from "./training-settings.ts";

const lower = (fallback: number) => within(1e6).default(fallback).describe("the least log-ratio; less counts as this");
const upper = (fallback: number) => within(1e6).default(fallback).describe("the largest; more counts as this");
const range = {
  least: within(1e6).default(0.7).describe("the smallest weight"),
  most: within(1e6).default(1.3).describe("the largest weight"),
};

const transforms = z.discriminatedUnion("name", [
  z
    .strictObject({
      name: z.literal("exp-clamp"),
      k: positive(1e6).default(defaultTransform.k).describe("a common factor"),
      mu: positive(100).default(defaultTransform.mu).describe("how strongly a log-ratio counts"),
      lower: lower(defaultTransform.lower),
      upper: upper(defaultTransform.upper),
    })
    .describe("`k exp(s μ clamp(r, lower, upper))`: the paper's formula; the bounds are our choice"),
  z
    .strictObject({
      name: z.literal("magnitude"),
      mu: positive(100).default(1).describe("how strongly a log-ratio counts"),
      limit: positive(1e6).default(1.5).describe("the largest magnitude"),
    })
    .describe("`exp(mu min(|r|, limit))` over its mean in the answer, the same on both sides: ours"),
  z.strictObject({ name: z.literal("raw") }).describe("`s r`"),
  z
    .strictObject({
      name: z.literal("binary"),
      share: z.number().positive().max(1).default(0.5).describe("the share of tokens with weight 1"),
    })
    .describe("1 for the tokens with the highest `s r`, otherwise 0"),
  z
    .strictObject({ name: z.literal("threshold"), lower: lower(-1), upper: upper(1) })
    .describe("`clamp(s r, lower, upper)`"),
  z
    .strictObject({ name: z.literal("threshold-and-scale"), lower: lower(-1.5), upper: upper(1.5), ...range })
    .describe("the same, then linear to [least, most]"),
  z.strictObject({ name: z.literal("rank"), ...range }).describe("from least to most by the rank of `s r`"),
  z.strictObject({ name: z.literal("random"), ...range }).describe("uniform from least to most, fixed by `seed`"),
  z.strictObject({ name: z.literal("ones") }).describe("1: as without weights"),
]);

const transform = z
  .preprocess(
    // Settings without a name are those of the default.
    (value) =>
      typeof value === "object" && value !== null && !("name" in value)
        ? { name: defaultTransform.name, ...value }
        : value,
    transforms.default(defaultTransform),
  )
  .describe("how the log-ratio r of a token becomes its weight; s is 1 for chosen, −1 for rejected answers");

const training = z
  .strictObject({
    beta: positive(1e4).optional().describe("as `objective.beta`"),
    learningRate: learningRate.optional().describe("as `learningRate`"),
    warmupSteps: countOrNone().optional().describe("as `warmupSteps`"),
    schedule: z.enum(["constant", "cosine"]).optional().describe("as `schedule`"),
    batchSize: batchSize.optional().describe("as `batchSize`"),
    epochs: epochs.optional().describe("as `epochs`"),
    steps: count().optional().describe("as `steps`"),
    examples: count().optional().describe("as `examples`"),
  })
  .default({})
  .describe("what the training of the two contrastive models does otherwise than the recipe itself");

const folder = path
  .optional()
  .describe("where the contrastive models and their estimates are kept; `contrastive` in the run's folder");

const template = (which: string) =>
  z.string().optional().describe(`the ${which} instruction, with \`{prompt}\` once; instead of \`preset\``);

/**
 * Importance weights of tokens (TIS-DPO, Liu et al. 2025): which two models estimate them, and how.
 */
export const weightsSettings = z.discriminatedUnion("from", [
  z
    .strictObject({ from: z.literal("dpo"), training, folder, transform })
    .describe("DPO on the pairs, and on the swapped pairs: TIS-DPO(D)"),
  z
    .strictObject({ from: z.literal("sft"), training, folder, transform })
    .describe("supervised fine-tuning on the chosen, and on the rejected answers: TIS-DPO(S)"),
  z
    .strictObject({
      from: z.literal("prompts"),
      preset: z.enum(promptPresetNames).optional().describe("a pair of instructions, worded by us"),
      positive: template("positive"),
      negative: template("negative"),
      folder,
      transform,
    })
    .describe("the starting model under a positive, and under a negative instruction: TIS-DPO(P)"),
  z
    .strictObject({
      from: z.literal("models"),
      positive: path.describe("the folder of the model that likes chosen answers"),
      negative: path.describe("the folder of the model that likes rejected answers"),
      folder,
      transform,
    })
    .describe("any two models with the tokenizer of the model that trains"),
  z
    .strictObject({ from: z.literal("file"), file: path.describe("what `tokenwise weigh` wrote"), transform })
    .describe("estimates that are there already"),
]);
