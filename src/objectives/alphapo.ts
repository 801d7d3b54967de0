import { constant, scale, subtract } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";
import { within } from "../numbers.ts";
import { logProbability } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { boundedExp, negativeLogSigmoid, smoothed } from "./losses.ts";
import type { Answer } from "./objective.ts";
import { labelSmoothing, scoreScale } from "./options.ts";
import { targetMargin } from "./simpo.ts";

/**
 * AlphaPO (Gupta et al. 2025, arXiv 2501.03884): SimPO with the reward `(1 − e^(−α a)) / α` in the
 * place of `a`, the mean log-probability of an answer's tokens. α of 0 is SimPO. Exponents are held
 * at 80. Defaults are those of TRL's documentation. Values equal TRL's `simpo` with
 * `cpo_alpha: 0` and its `alpha`; the paper itself was not read.
 */
export const alphapo = pairObjective({
  name: "alphapo",
  summary: "simpo with another shape of the reward: alpha bends it, 0 is simpo",
  paper: { by: "Gupta et al. 2025", arXiv: "2501.03884" },
  formula: "−log σ(β (r_w − r_l) − γ), r = (1 − e^(−αa))/α",
  checked: "equals TRL's alpha of CPO; the paper was not read",
  options: {
    beta: scoreScale(2.5, "rewards"),
    gamma: targetMargin(0.1),
    alpha: within(100).default(0.25).describe("the shape of the reward: 0 is the mean log-probability"),
    labelSmoothing,
  },
  shown: ["beta", "gamma", "alpha"],
  needs: { reference: "none" },
  loss({ beta, gamma, alpha, labelSmoothing }, chosen, rejected) {
    const margin = subtract(shaped(alpha, chosen), shaped(alpha, rejected));
    return smoothed(negativeLogSigmoid, subtract(scale(margin, beta), constant(gamma)), labelSmoothing);
  },
  reward: ({ beta, alpha }, answer) => scale(shaped(alpha, answer), beta),
});

/** `(1 − e^(−α a)) / α`. */
function shaped(alpha: number, answer: Answer): Tensor {
  const mean = logProbability(answer, "mean");
  if (Math.abs(alpha) < 1e-6) return mean;
  return scale(subtract(constant(1), boundedExp(scale(mean, -alpha))), 1 / alpha);
}
