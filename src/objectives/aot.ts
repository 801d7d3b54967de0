import { z } from "zod";
import { scale, subtract } from "../graph/ops/elementwise.ts";
import { permute, rank, sort } from "../graph/ops/sorting.ts";
import type { Tensor } from "../graph/tensor.ts";
import { implicitReward, logProbability, logRatio, tokenSum } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid, smoothed } from "./losses.ts";
import type { Answer } from "./objective.ts";
import { beta, labelSmoothing } from "./options.ts";

/**
 * Distributional preference alignment by optimal transport (Melnyk et al. 2024, arXiv 2406.05882):
 * `−log σ(β δ)`, where δ compares numbers of the same rank among all pairs of the step, so that one
 * distribution comes to dominate the other. They are the margins of log-probabilities under policy
 * and reference, or the log-ratios of chosen and rejected answers. The paper's β is 0.01. Values
 * equal TRL's `aot` and `aot_unpaired` where a step is one batch; TRL sorts within microbatches.
 */
export const aot = pairObjective({
  name: "aot",
  summary: "dpo between distributions: what has the same rank among a step's pairs is compared",
  paper: { by: "Melnyk et al. 2024", arXiv: "2406.05882" },
  formula: "−log σ(β δ), δ between what has the same rank in the step",
  checked: "equals TRL's aot and aot_unpaired for a batch",
  options: {
    beta,
    labelSmoothing,
    paired: z
      .boolean()
      .default(true)
      .describe("compare margins of policy and reference; false: log-ratios of chosen and rejected answers"),
  },
  shown: ["beta"],
  needs: { scope: "step" },
  loss({ beta, labelSmoothing, paired }, chosen, rejected) {
    const difference = paired
      ? lessItsRank(policyMargin(chosen, rejected), referenceMargin(chosen, rejected))
      : lessItsRank(logRatio(chosen), logRatio(rejected));
    return smoothed(negativeLogSigmoid, scale(difference, beta), labelSmoothing);
  },
  reward: implicitReward,
});

/** Each element of `a` less the one of `b` that has the same rank there. */
function lessItsRank(a: Tensor, b: Tensor): Tensor {
  return subtract(a, permute(sort(b), rank(a)));
}

function policyMargin(chosen: Answer, rejected: Answer): Tensor {
  return subtract(logProbability(chosen), logProbability(rejected));
}

function referenceMargin(chosen: Answer, rejected: Answer): Tensor {
  return subtract(tokenSum(chosen, chosen.referenceLogp!), tokenSum(rejected, rejected.referenceLogp!));
}
