import { z } from "zod";
import { scale, subtract } from "../graph/ops/elementwise.ts";
import { aggregates, implicitReward } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid, smoothed } from "./losses.ts";
import type { Answer } from "./objective.ts";
import { aggregate, beta, labelSmoothing } from "./options.ts";

/**
 * Direct Preference Optimization (Rafailov et al. 2023, arXiv 2305.18290, Eq. 7): `−log σ(u)`,
 * `u = β (Σρ_w − Σρ_l)`. With label smoothing `−(1 − ε) log σ(u) − ε log σ(−u)` (conservative DPO,
 * Mitchell 2023). With means instead of sums it is the length-normalised DPO of Tülu 3 (Lambert et
 * al. 2024, arXiv 2411.15124). Rewards stay `β Σρ`, as TRL logs them.
 */
export const dpo = pairObjective({
  name: "dpo",
  summary: "whole answers only, no KL of tokens; also labelSmoothing, aggregate, referenceFree",
  paper: { by: "Rafailov et al. 2023", arXiv: "2305.18290" },
  formula: "−log σ(u)",
  checked: "equals the authors' published code and TRL's sigmoid and sigmoid_norm",
  options: {
    beta,
    labelSmoothing,
    aggregate: aggregate("sum", "sums of log-ratios over an answer, or their means: length-normalised DPO"),
    referenceFree: z
      .boolean()
      .default(false)
      .describe("leave the reference out of the loss, not out of the logged rewards"),
  },
  shown: ["beta"],
  needs: ({ referenceFree }) => ({ reference: referenceFree ? "rewards" : "loss" }),
  loss({ beta, labelSmoothing, aggregate, referenceFree }, chosen, rejected) {
    const score = (answer: Answer) => aggregates[aggregate](answer, referenceFree ? answer.policyLogp : answer.ratio);
    const u = subtract(scale(score(chosen), beta), scale(score(rejected), beta));
    return smoothed(negativeLogSigmoid, u, labelSmoothing);
  },
  reward: implicitReward,
});
