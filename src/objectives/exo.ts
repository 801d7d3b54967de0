import { z } from "zod";
import { add, constant, multiply, negate, scale, sigmoid, subtract } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";
import { implicitReward, logRatioMargin } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import { beta } from "./options.ts";

/**
 * Efficient exact optimization (Ji et al. 2024, arXiv 2402.00856, Eq. 16), for two answers: the
 * reverse KL divergence `q log(q / (1 − ε)) + (1 − q) log((1 − q) / ε)` with
 * `q = σ(β (Σρ_w − Σρ_l))`. Values equal TRL's `exo_pair`, which has no ε of its own: its
 * `label_smoothing` of 0 gives an infinite loss. Here it is the paper's 0.001.
 */
export const exo = pairObjective({
  name: "exo",
  summary: "like dpo with the divergence the other way round; labelSmoothing keeps it finite",
  paper: { by: "Ji et al. 2024", arXiv: "2402.00856" },
  formula: "q log(q/(1 − ε)) + (1 − q) log((1 − q)/ε), q = σ(u)",
  checked: "equals TRL's exo_pair",
  options: {
    beta,
    labelSmoothing: z
      .number()
      .min(1e-9)
      .max(0.5)
      .default(1e-3)
      .describe("the probability that the rejected answer is the better one"),
  },
  shown: ["beta"],
  loss({ beta, labelSmoothing: epsilon }, chosen, rejected) {
    const u = scale(logRatioMargin(chosen, rejected), beta);
    return add(divergenceOf(u, 1 - epsilon), divergenceOf(negate(u), epsilon));
  },
  reward: implicitReward,
});

/** `q log(q / p)` for `q = σ(u)`. */
function divergenceOf(u: Tensor, p: number): Tensor {
  return multiply(sigmoid(u), subtract(negate(negativeLogSigmoid(u)), constant(Math.log(p))));
}
