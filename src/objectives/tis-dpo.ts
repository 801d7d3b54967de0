import { scale, subtract } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";
import { logRatio, statisticSum } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import type { Answer } from "./objective.ts";
import { beta, termWeight } from "./options.ts";

/**
 * TIS-DPO, Token-level Importance Sampling for DPO (Liu et al. 2025, arXiv 2410.04350):
 * `−log σ(u − η)`, where `u = β (Σ w_t ρ_t over y_w − Σ w_t ρ_t over y_l)` and
 * `η = α β (Σ w_t KL_t over y_w − Σ w_t KL_t over y_l)`, with KL_t = KL(π ‖ π_ref) at token t. The
 * gradient flows through both sums, as in the published code. The weights w_t are a token rule.
 * Rewards are `β Σ w_t ρ_t`, with η `β Σ w_t (ρ_t − KL_t)`.
 */
export const tisDpo = pairObjective({
  name: "tis-dpo",
  summary: "dpo with a weight for each token, from two contrastive models",
  paper: { by: "Liu et al. 2025", arXiv: "2410.04350" },
  formula: "−log σ(β (Σwρ_w − Σwρ_l) − η), η = αβ (Σw KL_w − Σw KL_l)",
  checked: "equals the authors' published code",
  options: {
    beta,
    alpha: termWeight(0, "the weight of η, the difference of weighted KL divergences; 0 leaves it out"),
  },
  shown: ["beta"],
  needs: ({ alpha }) => ({
    weights: "required",
    statistics: alpha > 0 ? { klPolicyReference: "gradient" } : {},
  }),
  loss({ beta, alpha }, chosen, rejected) {
    const score = (answer: Answer) => lessDivergence(answer, alpha);
    return negativeLogSigmoid(scale(subtract(score(chosen), score(rejected)), beta));
  },
  reward: ({ beta, alpha }, answer) => scale(lessDivergence(answer, alpha > 0 ? 1 : 0), beta),
});

/** Σ w_t ρ_t − weight · Σ w_t KL_t. */
function lessDivergence(answer: Answer, weight: number): Tensor {
  if (weight === 0) return logRatio(answer);
  return subtract(logRatio(answer), scale(statisticSum(answer, "klPolicyReference"), weight));
}
