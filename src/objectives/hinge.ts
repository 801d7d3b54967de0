import { scale } from "../graph/ops/elementwise.ts";
import { implicitReward, logRatioMargin } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { hingeLoss } from "./losses.ts";
import { beta } from "./options.ts";

/**
 * The hinge of SLiC-HF (Zhao et al. 2023, arXiv 2305.10425) on log-ratios, as RSO uses it (Liu et
 * al. 2024, arXiv 2309.06657): `max(0, 1 − β (Σρ_w − Σρ_l))`. Values equal TRL's `hinge`.
 */
export const hinge = pairObjective({
  name: "hinge",
  summary: "like dpo, but pairs that are 1 / beta apart teach nothing more",
  paper: { by: "Zhao et al. 2023", arXiv: "2305.10425" },
  formula: "max(0, 1 − u)",
  checked: "equals TRL's hinge",
  options: { beta },
  loss: ({ beta }, chosen, rejected) => hingeLoss(scale(logRatioMargin(chosen, rejected), beta)),
  reward: implicitReward,
});
