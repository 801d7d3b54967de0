import { negate } from "../graph/ops/elementwise.ts";
import { type Objective, sequenceSum } from "./objective.ts";

export interface SftOptions {
  name: "sft";
  /** `tokens` (default): mean over all response tokens of the step; `sequences`: mean over responses of the sum over tokens. */
  mean?: "tokens" | "sequences";
}

/** Supervised fine-tuning: `-Σ_t log π(y_t | x, y_<t)`. The published preference trainers take its mean over sequences. */
export function sft({ mean = "tokens" }: SftOptions): Objective {
  return {
    name: "sft",
    responses: 1,
    reference: "none",
    mean: mean === "tokens" ? "tokens" : "examples",
    evaluate: ([response]) => ({ losses: negate(sequenceSum(response!.policyLogp)) }),
  };
}
