import { exp, subtract } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";
import { logProbability } from "./answer.ts";
import { pairObjective } from "./define.ts";
import type { Answer } from "./objective.ts";

/**
 * SimPER (Xiao et al. 2025, arXiv 2502.00883): `−e^(a_w) + e^(a_l)`, with `a` the mean
 * log-probability of an answer's tokens; `e^a` is the inverse of its perplexity, and its reward.
 * The form is that of the authors' code. TRL has no counterpart.
 */
export const simper = pairObjective({
  name: "simper",
  summary: "no reference, nothing to set: the difference of the answers' inverse perplexities",
  paper: { by: "Xiao et al. 2025", arXiv: "2502.00883" },
  formula: "−e^a_w + e^a_l",
  checked: "a second computation; the form is that of the authors' code",
  options: {},
  needs: { reference: "none" },
  loss: (_, chosen, rejected) => subtract(inversePerplexity(rejected), inversePerplexity(chosen)),
  reward: (_, answer) => inversePerplexity(answer),
});

function inversePerplexity(answer: Answer): Tensor {
  return exp(logProbability(answer, "mean"));
}
