import { add, constant, square, subtract } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";
import { implicitReward, logRatio } from "./answer.ts";
import { pairObjective } from "./define.ts";
import type { Answer } from "./objective.ts";
import { beta } from "./options.ts";

/**
 * Self-play preference optimization (Wu et al. 2024, arXiv 2405.00675, Eq. 4.7) where the chosen
 * answer always wins: `(Σρ_w − 1/(2β))² + (Σρ_l + 1/(2β))²`. Values equal TRL's `sppo_hard`. The
 * authors' code also takes a judge's win probabilities, and halves the sum.
 */
export const sppo = pairObjective({
  name: "sppo",
  summary: "each answer's log-ratio towards a target of its own, 1 / (2 beta) and its negative",
  paper: { by: "Wu et al. 2024", arXiv: "2405.00675" },
  formula: "(Σρ_w − 1/(2β))² + (Σρ_l + 1/(2β))²",
  checked: "equals TRL's sppo_hard",
  options: { beta: beta.describe("the targets are 1 / (2 beta) and its negative; the authors use 0.001") },
  loss: ({ beta }, chosen, rejected) => distanceFromTargets(beta, chosen, rejected),
  reward: implicitReward,
});

/** `(Σρ_w − 1/(2β))² + (Σρ_l + 1/(2β))²`. */
export function distanceFromTargets(beta: number, chosen: Answer, rejected: Answer): Tensor {
  const target = constant(1 / (2 * beta));
  const negative = constant(-1 / (2 * beta));
  return add(squareOfDifference(logRatio(chosen), target), squareOfDifference(logRatio(rejected), negative));
}

function squareOfDifference(a: Tensor, b: Tensor): Tensor {
  return square(subtract(a, b));
}
