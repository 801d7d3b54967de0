import { minimum } from "../graph/ops/comparison.ts";
import { add, constant, exp, log, negate, scale, subtract } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";
import { logProbability } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import type { Answer } from "./objective.ts";
import { termWeight } from "./options.ts";

/**
 * Odds ratio preference optimization (Hong et al. 2024, arXiv 2403.07691, Eqs. 2 to 7):
 * `−a_w − λ log σ(o_w − o_l)`, where `a` is the mean log-probability of an answer's tokens, and
 * `o = a − log(1 − e^a)` are its log-odds. λ is TRL's `beta`, its default TRL's; the authors' code
 * calls it alpha. The odds term equals TRL's. In TRL the first term runs over the prompt as well,
 * and is a mean over all tokens of a microbatch. Rewards are `λ a`.
 */
export const orpo = pairObjective({
  name: "orpo",
  summary: "no reference: supervised on the chosen answers, and their odds against the rejected ones",
  paper: { by: "Hong et al. 2024", arXiv: "2403.07691" },
  formula: "−a_w − λ log σ(o_w − o_l), o = a − log(1 − e^a)",
  checked: "equals TRL's ORPO for a pair without the prompt's tokens",
  options: { lambda: termWeight(0.1, "the weight of the odds ratio") },
  needs: { reference: "none" },
  loss({ lambda }, chosen, rejected) {
    const odds = negativeLogSigmoid(subtract(logOdds(chosen), logOdds(rejected)));
    return add(negate(logProbability(chosen, "mean")), scale(odds, lambda));
  },
  reward: ({ lambda }, answer) => scale(logProbability(answer, "mean"), lambda),
});

/**
 * `a − log(1 − e^a)`. Odds end at a probability of 1 − 1e-7, where the logarithm would be infinite.
 */
function logOdds(answer: Answer): Tensor {
  const mean = minimum(logProbability(answer, "mean"), constant(-1e-7));
  return subtract(mean, log(subtract(constant(1), exp(mean))));
}
