import { z } from "zod";
import { negate } from "../graph/ops/elementwise.ts";
import { logProbability } from "./answer.ts";
import { singleObjective } from "./define.ts";

/** What supervised fine-tuning is a mean over; an option. */
export const meanOfSft = z
  .enum(["tokens", "sequences"])
  .default("tokens")
  .describe("a mean over all tokens of the step, or over sequences of the sum over tokens");

/**
 * Supervised fine-tuning: `−Σ_t log π(y_t | x, y_<t)`. The published preference trainers take its
 * mean over sequences.
 */
export const sft = singleObjective({
  name: "sft",
  summary: "supervised on the chosen answers: the first stage, where the model does not answer like them yet",
  formula: "−Σ log π(y_t)",
  checked: "a second computation; the mean over sequences is the published preference trainers'",
  options: { mean: meanOfSft },
  shown: [],
  mean: ({ mean }) => (mean === "tokens" ? "tokens" : "examples"),
  loss: (_, answer) => negate(logProbability(answer)),
});
