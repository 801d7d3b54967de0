import { z } from "zod";
import { constant, scale, square, subtract } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";
import { logProbability } from "./answer.ts";
import { defineObjective, pairObjective } from "./define.ts";
import { hingeLoss, negativeLogSigmoid, smoothed } from "./losses.ts";
import { mixture, onChosen } from "./mixture.ts";
import type { Answer } from "./objective.ts";
import { labelSmoothing, scoreScale, termWeight } from "./options.ts";
import { meanOfSft, sft } from "./sft.ts";

const options = {
  beta: scoreScale(0.1, "log-probabilities"),
  labelSmoothing,
  loss: z
    .enum(["logistic", "hinge", "ipo"])
    .default("logistic")
    .describe("−log σ(u), max(0, 1 − u), or IPO's square of means of log-probabilities; TRL's `loss_type`"),
};

/** A loss of DPO without a reference. */
const preference = pairObjective({
  name: "cpo",
  summary: "",
  options,
  needs: { reference: "none" },
  loss({ beta, labelSmoothing, loss }, chosen, rejected) {
    const u = scale(subtract(score(loss, chosen), score(loss, rejected)), beta);
    const losses = {
      logistic: negativeLogSigmoid,
      hinge: hingeLoss,
      ipo: (u: Tensor) => square(subtract(scale(u, 1 / beta), constant(1 / (2 * beta)))),
    };
    return smoothed(losses[loss], u, labelSmoothing);
  },
  reward: ({ beta, loss }, answer) => scale(score(loss, answer), beta),
});

function score(loss: "logistic" | "hinge" | "ipo", answer: Answer): Tensor {
  return logProbability(answer, loss === "ipo" ? "mean" : "sum");
}

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
