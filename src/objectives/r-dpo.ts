import { add, scale, subtract } from "../graph/ops/elementwise.ts";
import { countedLength, implicitReward, logRatioMargin } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import { beta, termWeight } from "./options.ts";

/**
 * Length-regularised DPO (Park et al. 2024, arXiv 2403.19159, Eq. 9):
 * `−log σ(β (Σρ_w − Σρ_l) + α (m − n))`, with m and n the lengths of chosen and rejected answer.
 * With this sign a longer chosen answer counts as explained by its length. SamPO's and oat's code
 * agree with it, α-DPO's has the opposite sign. TRL has no counterpart.
 */
export const rDpo = pairObjective({
  name: "r-dpo",
  summary: "dpo that lets a longer chosen answer count for less; alpha is what a token of length is worth",
  paper: { by: "Park et al. 2024", arXiv: "2403.19159" },
  formula: "−log σ(u + α (m − n)), m and n tokens",
  checked: "a second computation; the form is that of oat's and SamPO's code",
  options: { beta, alpha: termWeight(0.01, "what a token more of the chosen answer adds to the margin") },
  loss({ beta, alpha }, chosen, rejected) {
    const longer = subtract(countedLength(chosen), countedLength(rejected));
    return negativeLogSigmoid(add(scale(logRatioMargin(chosen, rejected), beta), scale(longer, alpha)));
  },
  reward: implicitReward,
});
