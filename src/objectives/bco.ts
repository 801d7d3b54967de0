import { z } from "zod";
import { add, constant, divide, multiply, negate, scale, subtract } from "../graph/ops/elementwise.ts";
import { sum } from "../graph/ops/reduce.ts";
import type { Tensor } from "../graph/tensor.ts";
import { implicitReward, stepCount } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import type { Answer } from "./objective.ts";
import { beta } from "./options.ts";

/** Whether rewards are compared with a running mean; an option. */
export const rewardShift = z
  .enum(["running", "none"])
  .default("running")
  .describe("the mean of all rewards so far, which rewards are compared with; none compares them with 0");

/**
 * Binary classifier optimization (Jung et al. 2024, arXiv 2404.04656) on pairs:
 * `−log σ(r_w − δ) − log σ(δ − r_l)`, `r = β Σρ`. δ is the mean of all rewards that the run has
 * seen, those of the step included; no gradient flows through it. Without it (`shift: none`) values
 * equal TRL's `bco_pair`.
 */
export const bcoPair = pairObjective({
  name: "bco-pair",
  summary: "chosen and rejected answers told apart from the mean reward so far, each on its own",
  paper: { by: "Jung et al. 2024", arXiv: "2404.04656" },
  formula: "−log σ(r_w − δ) − log σ(δ − r_l), δ the mean of all rewards so far",
  checked: "a second computation; without the shift TRL's bco_pair",
  options: { beta, shift: rewardShift },
  shown: ["beta"],
  state: ({ shift }) => (shift === "running" ? { initial: runningMean, update: updateShift } : undefined),
  loss: (options, chosen, rejected, { state }) => classifierLoss(options, chosen, rejected, state.shift),
  reward: implicitReward,
});

/** The mean of no rewards, and how many it is of. */
export const runningMean = { shift: 0, seen: 0 };

/** The running mean with the rewards of the step's pairs. */
export function updateShift(
  options: { readonly beta: number },
  chosen: Answer,
  rejected: Answer,
  { state }: { readonly state: Readonly<Record<string, Tensor>> },
): Record<string, Tensor> {
  const rewards = add(implicitReward(options, chosen), implicitReward(options, rejected));
  const count = scale(stepCount(rewards), 2);
  const seen = add(state.seen!, count);
  const change = divide(subtract(sum(rewards, [0]), multiply(count, state.shift!)), seen);
  return { shift: add(state.shift!, change), seen };
}

/** `−log σ(r_w − δ) − log σ(δ − r_l)`. */
export function classifierLoss(
  options: { readonly beta: number },
  chosen: Answer,
  rejected: Answer,
  shift: Tensor = constant(0),
): Tensor {
  const [better, worse] = [chosen, rejected].map((answer) => subtract(implicitReward(options, answer), shift));
  return add(negativeLogSigmoid(better!), negativeLogSigmoid(negate(worse!)));
}
