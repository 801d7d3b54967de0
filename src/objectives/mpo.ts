import { add, scale } from "../graph/ops/elementwise.ts";
import { implicitReward, logProbability, logRatioMargin } from "./answer.ts";
import { classifierLoss, rewardShift, runningMean, updateShift } from "./bco.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import { beta, termWeight } from "./options.ts";

/**
 * Mixed preference optimization (Wang et al. 2024, arXiv 2411.10442): a loss of preference, of
 * quality and of generation, `p · DPO + q · BCO − g · a_w`, with `a` the mean log-probability of an
 * answer's tokens. In TRL it is `loss_type: ["sigmoid", "bco_pair", "sft"]` with weights of 0.8,
 * 0.2 and 1; values equal for one pair with `shift: none`.
 */
export const mpo = pairObjective({
  name: "mpo",
  summary: "a mix of dpo, bco-pair and supervised fine-tuning on the chosen answers",
  paper: { by: "Wang et al. 2024", arXiv: "2411.10442" },
  formula: "−p log σ(u) + q BCO − g a_w",
  checked: "a second computation; without the shift TRL's sigmoid, bco_pair and sft for a pair",
  options: {
    beta,
    preference: termWeight(0.8, "the weight of dpo's loss"),
    quality: termWeight(0.2, "the weight of bco-pair's loss"),
    generation: termWeight(1, "the weight of supervised fine-tuning on the chosen answers"),
    shift: rewardShift,
  },
  shown: ["beta"],
  state: ({ shift }) => (shift === "running" ? { initial: runningMean, update: updateShift } : undefined),
  loss(options, chosen, rejected, { state }) {
    const { beta, preference, quality, generation } = options;
    return [
      scale(negativeLogSigmoid(scale(logRatioMargin(chosen, rejected), beta)), preference),
      scale(classifierLoss(options, chosen, rejected, state.shift), quality),
      scale(logProbability(chosen, "mean"), -generation),
    ].reduce(add);
  },
  reward: implicitReward,
});
