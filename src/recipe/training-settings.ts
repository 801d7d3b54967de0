import { z } from "zod";
import { count, nonnegative, positive } from "../numbers.ts";

const decay = z.number().min(0).lt(1);

/** Settings that the training of contrastive models has as well. */
export const learningRate = positive(1000, "the optimizer moves every weight by about this much in each step");
export const batchSize = count(1e6, "the examples of one step are in memory together");
export const epochs = positive(1e6);

const epsilon = positive(1).default(1e-8).describe("keeps the division by a root from being one by zero");
const weightDecay = nonnegative(1000).default(0).describe("decoupled decay of the weights, per learning rate");

/** The optimizers. */
export const optimizerSettings = z.discriminatedUnion("name", [
  z
    .strictObject({
      name: z.literal("adamw"),
      beta1: decay.default(0.9).describe("decay of the mean of gradients"),
      beta2: decay.default(0.999).describe("decay of the mean of squared gradients"),
      epsilon,
      weightDecay,
    })
    .describe("Loshchilov & Hutter 2019, as in PyTorch"),
  z
    .strictObject({
      name: z.literal("rmsprop"),
      decay: decay.default(0.99).describe("decay of the mean of squared gradients"),
      epsilon,
      weightDecay,
    })
    .describe("half of AdamW's state; what the TDPO paper trains with"),
]);

/** A low-rank adapter (Hu et al. 2022). */
export const loraSettings = z.strictObject({
  rank: count().default(16).describe("rows of A, columns of B"),
  alpha: positive(1e6, "what the adapter computes is multiplied by alpha / rank")
    .default(32)
    .describe("the adapter's output is scaled by alpha / rank"),
  dropout: decay.default(0).describe("the share of an adapter's inputs that is hidden in training"),
  targetModules: z
    .union([z.literal("all-linear"), z.array(z.string().min(1)).min(1)], 'must be "all-linear" or a list of names')
    .default("all-linear")
    .describe("the linear layers of every block, or a list of them by the model's own names, such as `q_proj`"),
  rslora: z.boolean().default(false).describe("scale by alpha / √rank instead (Kalajdzievski 2023)"),
  base: z
    .enum(["stored", "int4"])
    .default("stored")
    .describe("the frozen weights in memory: mapped from their file as stored, or quantised to 4 bits"),
});
