import { add, scale } from "../graph/ops/elementwise.ts";
import { implicitReward, logProbability, logRatioMargin } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import { beta, termWeight } from "./options.ts";

/**
 * DPO with supervised fine-tuning on the chosen answer beside it:
 * `−log σ(β (Σρ_w − Σρ_l)) − α a_w`, with `a` the mean log-probability of an answer's tokens. It is
 * the loss of iterative reasoning preference optimization (Pang et al. 2024, arXiv 2404.19733) and
 * of regularised preference optimization (Liu et al. 2024, arXiv 2405.16436, with α 0.005 and β
 * 0.01). In TRL it is `loss_type: ["sigmoid", "sft"]`, whose second term is a mean over all tokens
 * of a microbatch; values equal for one pair.
 */
export const rpo = pairObjective({
  name: "rpo",
  summary: "dpo, and supervised on the chosen answers: alpha weighs that",
  paper: { by: "Pang et al. 2024", arXiv: "2404.19733" },
  formula: "−log σ(u) − α a_w",
  checked: "equals TRL's sigmoid with sft for a pair",
  options: { beta, alpha: termWeight(1, "the weight of supervised fine-tuning on the chosen answers") },
  loss: ({ beta, alpha }, chosen, rejected) =>
    add(
      negativeLogSigmoid(scale(logRatioMargin(chosen, rejected), beta)),
      scale(logProbability(chosen, "mean"), -alpha),
    ),
  reward: implicitReward,
});
