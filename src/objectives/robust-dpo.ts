import { z } from "zod";
import { scale, subtract } from "../graph/ops/elementwise.ts";
import { implicitReward, logRatioMargin } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import { beta } from "./options.ts";

/**
 * Provably robust DPO (Chowdhury et al. 2024, arXiv 2403.00409), unbiased where a share ε of the
 * labels is wrong: `[(1 − ε) ℓ(u) − ε ℓ(−u)] / (1 − 2ε)`, `ℓ(u) = −log σ(u)`,
 * `u = β (Σρ_w − Σρ_l)`. It has no lower bound for ε > 0. Values equal TRL's `robust`, where ε is 0
 * unless given, which is plain DPO.
 */
export const robustDpo = pairObjective({
  name: "robust-dpo",
  summary: "dpo where labelSmoothing says which share of the labels is wrong",
  paper: { by: "Chowdhury et al. 2024", arXiv: "2403.00409" },
  formula: "[−(1 − ε) log σ(u) + ε log σ(−u)] / (1 − 2ε)",
  checked: "equals TRL's robust",
  options: {
    beta,
    labelSmoothing: z
      .number()
      .min(0)
      .lt(0.5)
      .default(0.1)
      .describe("the share of pairs assumed to be labelled the wrong way round"),
  },
  loss({ beta, labelSmoothing: epsilon }, chosen, rejected) {
    const u = scale(logRatioMargin(chosen, rejected), beta);
    const asLabelled = scale(negativeLogSigmoid(u), 1 - epsilon);
    const swapped = scale(negativeLogSigmoid(scale(u, -1)), epsilon);
    return scale(subtract(asLabelled, swapped), 1 / (1 - 2 * epsilon));
  },
  reward: implicitReward,
});
