import { constant, scale, square, subtract } from "../graph/ops/elementwise.ts";
import { logRatio } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { beta } from "./options.ts";

/**
 * Identity Preference Optimization (Azar et al. 2023, arXiv 2310.12036, Eq. 17):
 * `(Σρ_w − Σρ_l − 1/(2β))²`. β is the paper's τ.
 */
export const ipo = pairObjective({
  name: "ipo",
  summary: "like dpo, but towards a margin of 1 / (2 beta) instead of an ever larger one",
  options: { beta },
  loss: ({ beta }, chosen, rejected) =>
    square(subtract(subtract(logRatio(chosen), logRatio(rejected)), constant(1 / (2 * beta)))),
  reward: ({ beta }, answer) => scale(logRatio(answer), beta),
});
