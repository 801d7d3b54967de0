import { add, scale } from "../graph/ops/elementwise.ts";
import { implicitReward, logRatioMargin } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import { beta } from "./options.ts";
import { distanceFromTargets } from "./sppo.ts";

/**
 * Calibrated DPO (Xiao et al. 2024, arXiv 2412.14516):
 * `−log σ(Σρ_w − Σρ_l) + ½ [(Σρ_w − 1/(2β))² + (Σρ_l + 1/(2β))²]`. The first term has no β. The
 * form is that of the authors' code, whose β is 0.001 to 0.002. Their code logs bare
 * log-probabilities as rewards; here they are `β Σρ`. TRL has no counterpart.
 */
export const calDpo = pairObjective({
  name: "cal-dpo",
  summary: "dpo whose log-ratios are also pulled to a scale, 1 / (2 beta) for the chosen answer",
  paper: { by: "Xiao et al. 2024", arXiv: "2412.14516" },
  formula: "−log σ(Σρ_w − Σρ_l) + ½ [(Σρ_w − 1/(2β))² + (Σρ_l + 1/(2β))²]",
  checked: "a second computation; the form is that of the authors' code",
  options: { beta: beta.default(0.001).describe("the log-ratios are pulled to 1 / (2 beta) and its negative") },
  loss: ({ beta }, chosen, rejected) =>
    add(negativeLogSigmoid(logRatioMargin(chosen, rejected)), scale(distanceFromTargets(beta, chosen, rejected), 0.5)),
  reward: implicitReward,
});
