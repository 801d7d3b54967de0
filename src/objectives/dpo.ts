import { z } from "zod";
import { scale, subtract } from "../graph/ops/elementwise.ts";
import { logProbability, logRatio } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid, smoothed } from "./losses.ts";
import { beta } from "./options.ts";

/**
 * Direct Preference Optimization (Rafailov et al. 2023, arXiv 2305.18290, Eq. 7): `−log σ(u)`,
 * `u = β (Σρ_w − Σρ_l)`. With label smoothing `−(1 − ε) log σ(u) − ε log σ(−u)` (conservative DPO,
 * Mitchell 2023).
 */
export const dpo = pairObjective({
  name: "dpo",
  summary: "whole answers only, no KL of tokens; also labelSmoothing, referenceFree",
  options: {
    beta,
    labelSmoothing: z
      .number()
      .min(0)
      .max(0.5)
      .default(0)
      .describe("the share of pairs assumed to be labelled the wrong way round"),
    referenceFree: z
      .boolean()
      .default(false)
      .describe("leave the reference out of the loss, not out of the logged rewards"),
  },
  shown: ["beta"],
  needs: ({ referenceFree }) => ({ reference: referenceFree ? "rewards" : "loss" }),
  loss({ beta, labelSmoothing, referenceFree }, chosen, rejected) {
    const score = referenceFree ? logProbability : logRatio;
    const u = subtract(scale(score(chosen), beta), scale(score(rejected), beta));
    return smoothed(negativeLogSigmoid, u, labelSmoothing);
  },
  reward: ({ beta }, answer) => scale(logRatio(answer), beta),
});
