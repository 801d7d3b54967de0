import { scale, subtract } from "../graph/ops/elementwise.ts";
import { logProbability } from "./answer.ts";
import { defineObjective, pairObjective } from "./define.ts";
import { negativeLogSigmoid, smoothed } from "./losses.ts";
import { mixture, onChosen } from "./mixture.ts";
import { labelSmoothing, scoreScale, termWeight } from "./options.ts";
import { meanOfSft, sft } from "./sft.ts";

const options = { beta: scoreScale(0.1, "log-probabilities"), labelSmoothing };

/** `−log σ(β (Σ log π_w − Σ log π_l))`: DPO without a reference. */
const preference = pairObjective({
  name: "cpo",
  summary: "",
  options,
  needs: { reference: "none" },
  loss({ beta, labelSmoothing }, chosen, rejected) {
    const u = scale(subtract(logProbability(chosen), logProbability(rejected)), beta);
    return smoothed(negativeLogSigmoid, u, labelSmoothing);
  },
  reward: ({ beta }, answer) => scale(logProbability(answer), beta),
});

/**
 * Contrastive preference optimization (Xu et al. 2024, arXiv 2401.08417):
 * `−log σ(β (Σ log π_w − Σ log π_l)) + α · SFT(y_w)`. The second term is a mean over the chosen
 * answers' tokens, as in the authors' code and in TRL (`cpo_alpha`), or over answers, as the paper
 * writes it. Values equal TRL's where a step is one batch; TRL takes the mean over the tokens of
 * each microbatch. Rewards are `β Σ log π`.
 */
export const cpo = defineObjective(
  {
    name: "cpo",
    summary: "no reference, and supervised on the chosen answers: alpha weighs that",
    paper: { by: "Xu et al. 2024", arXiv: "2401.08417" },
    formula: "−log σ(β (Σ log π_w − Σ log π_l)) + α SFT(y_w)",
    checked: "equals TRL's CPO for a batch",
    options: {
      ...options,
      alpha: termWeight(1, "the weight of supervised fine-tuning on the chosen answers"),
      mean: meanOfSft,
    },
    shown: ["beta", "alpha"],
  },
  2,
  ({ alpha, mean, ...options }) =>
    mixture("cpo", [
      { weight: 1, objective: preference.create(options) },
      { weight: alpha, objective: onChosen(sft.create({ mean })) },
    ]),
);
