import { constant, scale, square, subtract } from "../graph/ops/elementwise.ts";
import { type Objective, sequenceLogRatio } from "./objective.ts";

export interface IpoOptions {
  name: "ipo";
  /** β, τ in the paper: the margin of log-ratios is pulled to 1 / (2β). */
  beta: number;
}

/** Identity Preference Optimization (Azar et al. 2023, arXiv 2310.12036, Eq. 17): `(Σρ_w - Σρ_l - 1/(2β))²`. */
export function ipo({ beta }: IpoOptions): Objective {
  return {
    name: "ipo",
    responses: 2,
    reference: "loss",
    beta,
    mean: "examples",
    evaluate([chosen, rejected]) {
      const [chosenRatio, rejectedRatio] = [sequenceLogRatio(chosen!), sequenceLogRatio(rejected!)];
      return {
        losses: square(subtract(subtract(chosenRatio, rejectedRatio), constant(1 / (2 * beta)))),
        rewards: [scale(chosenRatio, beta), scale(rejectedRatio, beta)],
      };
    },
  };
}
