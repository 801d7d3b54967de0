import { relu } from "../graph/ops/comparison.ts";
import { negate, scale, subtract } from "../graph/ops/elementwise.ts";
import { implicitReward, logRatio, logRatioMargin } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import { beta, termWeight } from "./options.ts";

/**
 * DPO-Positive, also called Smaug (Pal et al. 2024, arXiv 2402.13228):
 * `−log σ(β (Σρ_w − Σρ_l − λ max(0, −Σρ_w)))`. The chosen answer may not become less likely than
 * under the reference. The form is that of SamPO's and oat's code. TRL has no counterpart.
 */
export const dpop = pairObjective({
  name: "dpop",
  summary: "dpo that keeps the chosen answer from becoming less likely; lambda is how firmly",
  paper: { by: "Pal et al. 2024", arXiv: "2402.13228" },
  formula: "−log σ(u − βλ max(0, −Σρ_w))",
  checked: "a second computation; the form is that of oat's and SamPO's code",
  options: { beta, lambda: termWeight(50, "how much a loss of likelihood of the chosen answer counts") },
  loss({ beta, lambda }, chosen, rejected) {
    const lost = relu(negate(logRatio(chosen)));
    return negativeLogSigmoid(scale(subtract(logRatioMargin(chosen, rejected), scale(lost, lambda)), beta));
  },
  reward: implicitReward,
});
