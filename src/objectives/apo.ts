import { add, negate, scale, sigmoid } from "../graph/ops/elementwise.ts";
import { implicitReward, logRatioMargin } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { beta } from "./options.ts";

/**
 * Anchored preference optimization (D'Oosterlinck et al. 2024, arXiv 2408.06266). Values equal
 * TRL's `apo_zero` and `apo_down`; the authors' repository holds no loss.
 */

/** Eq. 7, for chosen answers better than the model's: `1 − σ(β Σρ_w) + σ(β Σρ_l)`. */
export const apoZero = pairObjective({
  name: "apo-zero",
  summary: "for chosen answers better than the model's own: they become likelier, the rejected less likely",
  paper: { by: "D'Oosterlinck et al. 2024", arXiv: "2408.06266" },
  formula: "1 − σ(r_w) + σ(r_l)",
  checked: "equals TRL's apo_zero",
  options: { beta },
  loss: (options, chosen, rejected) =>
    add(sigmoid(negate(implicitReward(options, chosen))), sigmoid(implicitReward(options, rejected))),
  reward: implicitReward,
});

/** Eq. 8, for chosen answers worse than the model's: `σ(β Σρ_w) + 1 − σ(β (Σρ_w − Σρ_l))`. */
export const apoDown = pairObjective({
  name: "apo-down",
  summary: "for chosen answers worse than the model's own: both become less likely, the rejected more so",
  paper: { by: "D'Oosterlinck et al. 2024", arXiv: "2408.06266" },
  formula: "σ(r_w) + 1 − σ(u)",
  checked: "equals TRL's apo_down",
  options: { beta },
  loss: (options, chosen, rejected) =>
    add(sigmoid(implicitReward(options, chosen)), sigmoid(scale(logRatioMargin(chosen, rejected), -options.beta))),
  reward: implicitReward,
});
