import { add, scale, stopGradient, subtract } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";
import { logRatio, statisticSum } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import type { Answer } from "./objective.ts";
import { beta, termWeight } from "./options.ts";

/**
 * TDPO1 and TDPO2, Token-level Direct Preference Optimization (Zeng et al. 2024, arXiv 2404.11999).
 */
const needs = { statistics: { klReferencePolicy: "gradient" } } as const;

/** `−log σ(β (Σρ_w − Σρ_l − (SeqKL(y_l) − SeqKL(y_w))))`. */
export const tdpo1 = pairObjective({
  name: "tdpo1",
  summary: "the first form of tdpo2: the difference of the KL counts in full",
  paper: { by: "Zeng et al. 2024", arXiv: "2404.11999" },
  formula: "−log σ(u − β (SeqKL_l − SeqKL_w))",
  checked: "equals the authors' published code",
  options: { beta },
  needs,
  loss: ({ beta }, chosen, rejected) =>
    lossOfMargin(beta, chosen, rejected, subtract(sequenceKl(rejected), sequenceKl(chosen))),
  reward,
});

/** `−log σ(β (Σρ_w − Σρ_l − α (SeqKL(y_l) − sg(SeqKL(y_w)))))`, where sg stops the gradient. */
export const tdpo2 = pairObjective({
  name: "tdpo2",
  summary: "beta ties the model to the reference, alpha weighs the KL of the answers",
  paper: { by: "Zeng et al. 2024", arXiv: "2404.11999" },
  formula: "−log σ(u − αβ (SeqKL_l − sg(SeqKL_w)))",
  checked: "equals the authors' published code",
  options: { beta, alpha: termWeight(0.5, "the weight of the difference of sequential KL divergences") },
  needs,
  loss({ beta, alpha }, chosen, rejected) {
    const difference = subtract(sequenceKl(rejected), stopGradient(sequenceKl(chosen)));
    return lossOfMargin(beta, chosen, rejected, scale(difference, alpha));
  },
  reward,
});

function lossOfMargin(beta: number, chosen: Answer, rejected: Answer, divergence: Tensor): Tensor {
  const margin = subtract(subtract(logRatio(chosen), logRatio(rejected)), divergence);
  return negativeLogSigmoid(scale(margin, beta));
}

/** `β (Σρ + SeqKL)`, as the published code logs it. */
function reward({ beta }: { beta: number }, answer: Answer): Tensor {
  return scale(add(logRatio(answer), sequenceKl(answer)), beta);
}

/** SeqKL: Σ_t KL(π_ref ‖ π) at token t. */
function sequenceKl(answer: Answer): Tensor {
  return statisticSum(answer, "klReferencePolicy");
}
