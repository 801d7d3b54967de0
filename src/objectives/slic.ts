import { relu } from "../graph/ops/comparison.ts";
import { constant, subtract } from "../graph/ops/elementwise.ts";
import { positive } from "../numbers.ts";
import { logProbability } from "./answer.ts";
import { pairObjective } from "./define.ts";

/**
 * SLiC-HF, sequence likelihood calibration (Zhao et al. 2023, arXiv 2305.10425):
 * `max(0, δ − log π(y_w) + log π(y_l))`, without its regulariser. Rewards are `log π(y)`.
 */
export const slic = pairObjective({
  name: "slic",
  summary: "no reference: the chosen answer should be more likely by delta nats, and no more than that",
  paper: { by: "Zhao et al. 2023", arXiv: "2305.10425" },
  formula: "max(0, δ − Σ log π_w + Σ log π_l)",
  checked: "a second computation; without the paper's regulariser",
  options: { delta: positive(1e6).default(1).describe("the margin of log-probabilities, in nats") },
  needs: { reference: "none" },
  loss: ({ delta }, chosen, rejected) =>
    relu(subtract(constant(delta), subtract(logProbability(chosen), logProbability(rejected)))),
  reward: (_, answer) => logProbability(answer),
});
