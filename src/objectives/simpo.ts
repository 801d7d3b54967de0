import { constant, scale, subtract } from "../graph/ops/elementwise.ts";
import { nonnegative } from "../numbers.ts";
import { logProbability } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid, smoothed } from "./losses.ts";
import { labelSmoothing, scoreScale } from "./options.ts";

/** γ, an option. */
export const targetMargin = (fallback: number) =>
  nonnegative(1e6).default(fallback).describe("the margin to reach, after the multiplication by beta");

/**
 * SimPO (Meng et al. 2024, arXiv 2405.14734, Eq. 6): `−log σ(β (a_w − a_l) − γ)`, with `a` the mean
 * log-probability of an answer's tokens. β and γ are those of the authors' code, where γ is β times
 * `gamma_beta_ratio`. Values equal TRL's `simpo` with `cpo_alpha: 0`. Rewards are `β a`.
 */
export const simpo = pairObjective({
  name: "simpo",
  summary: "no reference: the chosen answer's tokens should be likelier on average by gamma / beta",
  paper: { by: "Meng et al. 2024", arXiv: "2405.14734" },
  formula: "−log σ(β (a_w − a_l) − γ)",
  checked: "equals TRL's simpo",
  options: { beta: scoreScale(2, "mean log-probabilities"), gamma: targetMargin(0.5), labelSmoothing },
  shown: ["beta", "gamma"],
  needs: { reference: "none" },
  loss({ beta, gamma, labelSmoothing }, chosen, rejected) {
    const margin = subtract(logProbability(chosen, "mean"), logProbability(rejected, "mean"));
    return smoothed(negativeLogSigmoid, subtract(scale(margin, beta), constant(gamma)), labelSmoothing);
  },
  reward: ({ beta }, answer) => scale(logProbability(answer, "mean"), beta),
});
