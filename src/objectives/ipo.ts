import { constant, square, subtract } from "../graph/ops/elementwise.ts";
import { implicitReward, logRatioMargin } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { aggregate, beta } from "./options.ts";

/**
 * Identity Preference Optimization (Azar et al. 2023, arXiv 2310.12036, Eq. 17):
 * `(Σρ_w − Σρ_l − 1/(2β))²`. β is the paper's τ. TRL takes means over tokens in place of the sums;
 * its comment says that the paper's authors confirmed it.
 */
export const ipo = pairObjective({
  name: "ipo",
  summary: "like dpo, but towards a margin of 1 / (2 beta) instead of an ever larger one",
  paper: { by: "Azar et al. 2023", arXiv: "2310.12036" },
  formula: "(Σρ_w − Σρ_l − 1/(2β))²",
  checked: "equals the authors' published code; with means TRL's ipo",
  options: {
    beta,
    aggregate: aggregate("sum", "sums of log-ratios over an answer as in the paper, or their means as in TRL"),
  },
  shown: ["beta"],
  loss: ({ beta, aggregate }, chosen, rejected) =>
    square(subtract(logRatioMargin(chosen, rejected, aggregate), constant(1 / (2 * beta)))),
  reward: implicitReward,
});
