/**
 * Objectives that use what the published ones in the list do not: other examples of the step,
 * state, chance, constants.
 */
import { z } from "zod";
import { maximum } from "../../src/graph/ops/comparison.ts";
import {
  add,
  constant,
  exp,
  multiply,
  scale,
  square,
  stopGradient,
  subtract,
} from "../../src/graph/ops/elementwise.ts";
import { sort } from "../../src/graph/ops/sorting.ts";
import {
  length,
  logProbability,
  logRatio,
  statistic,
  stepMean,
  tokenMean,
  tokenSum,
} from "../../src/objectives/answer.ts";
import { defineObjective, pairObjective } from "../../src/objectives/define.ts";
import { dpo } from "../../src/objectives/dpo.ts";
import { negativeLogSigmoid } from "../../src/objectives/losses.ts";
import { mixture, onChosen } from "../../src/objectives/mixture.ts";
import type { Answer } from "../../src/objectives/objective.ts";
import { sft } from "../../src/objectives/sft.ts";

const beta = z.number().positive().default(0.2);

function margin(chosen: Answer, rejected: Answer) {
  return subtract(logRatio(chosen), logRatio(rejected));
}

/** KTO's form: each answer against the step's mean log-ratio, whose gradient is stopped. */
export const againstMean = pairObjective({
  name: "against-mean",
  summary: "",
  options: { beta },
  needs: { scope: "step" },
  loss({ beta }, chosen, rejected) {
    const z = stopGradient(maximum(constant(0), stepMean(add(logRatio(chosen), logRatio(rejected)))));
    const [gain, loss] = [subtract(logRatio(chosen), z), subtract(z, logRatio(rejected))];
    return add(negativeLogSigmoid(scale(gain, beta)), negativeLogSigmoid(scale(loss, beta)));
  },
  reward: ({ beta }, answer) => scale(logRatio(answer), beta),
});

/** The gradient of each pair's loss flows to all pairs of the step. */
export const variance = pairObjective({
  name: "variance",
  summary: "",
  options: {},
  needs: { scope: "step" },
  loss: (_, chosen, rejected) => square(subtract(margin(chosen, rejected), stepMean(margin(chosen, rejected)))),
});

/** AOT's unpaired form (Melnyk et al. 2024, arXiv 2406.05882): both sides sorted over the step. */
export const sorted = pairObjective({
  name: "sorted",
  summary: "",
  options: { beta },
  needs: { scope: "step" },
  loss: ({ beta }, chosen, rejected) =>
    negativeLogSigmoid(scale(subtract(sort(logRatio(chosen)), sort(logRatio(rejected))), beta)),
});

/** BCO's form: a running mean of the margins is subtracted. */
export const shifted = pairObjective({
  name: "shifted",
  summary: "",
  options: { beta },
  state: {
    initial: { shift: 0.5 },
    update: (_, chosen, rejected, { state }) => ({
      shift: add(scale(state.shift!, 0.9), scale(stepMean(margin(chosen, rejected)), 0.1)),
    }),
  },
  loss: ({ beta }, chosen, rejected, { state }) =>
    negativeLogSigmoid(scale(subtract(margin(chosen, rejected), state.shift!), beta)),
});

/** Tokens count by chance; the entropy is rewarded. */
export const chancy = pairObjective({
  name: "chancy",
  summary: "",
  options: { beta },
  needs: { random: true, statistics: { entropy: "gradient" } },
  loss: ({ beta }, chosen, rejected) => {
    const score = (answer: Answer) =>
      tokenSum(answer, multiply(add(answer.ratio, statistic(answer, "entropy")), answer.random!));
    return negativeLogSigmoid(scale(subtract(score(chosen), score(rejected)), beta));
  },
});

/** Every statistic, means over tokens and positions: nothing that an answer has is left out. */
export const everything = pairObjective({
  name: "everything",
  summary: "",
  options: {},
  needs: {
    statistics: {
      klReferencePolicy: "gradient",
      klPolicyReference: "gradient",
      entropy: "gradient",
      logSumSquares: "constant",
      othersLogp: "gradient",
    },
  },
  loss: (_, chosen, rejected) => {
    const score = (answer: Answer) => {
      const confidence = stopGradient(
        exp(tokenMean(answer, subtract(answer.policyLogp, statistic(answer, "logSumSquares")))),
      );
      const terms = [
        tokenMean(answer, statistic(answer, "klPolicyReference")),
        tokenSum(answer, statistic(answer, "klReferencePolicy")),
        tokenMean(answer, multiply(answer.position, statistic(answer, "entropy"))),
        scale(tokenMean(answer, statistic(answer, "othersLogp")), 0.1),
        multiply(confidence, logProbability(answer, "mean")),
        scale(length(answer), 0.01),
      ];
      return terms.reduce(add);
    };
    return square(subtract(score(chosen), score(rejected)));
  },
});

/**
 * Preference and imitation of the chosen answer, as in RPO, with a mean over pairs and one over
 * tokens.
 */
export const mixed = defineObjective(
  { name: "mixed", summary: "", options: { beta, weight: z.number().default(0.5) } },
  2,
  ({ beta, weight }) =>
    mixture("mixed", [
      { weight: 1, objective: dpo.create({ beta }) },
      { weight, objective: onChosen(sft.create()) },
    ]),
);

/** A margin for each pair comes with the examples. */
export const givenMargin = pairObjective({
  name: "given-margin",
  summary: "",
  options: { beta },
  needs: { given: { margin: "example" } },
  loss: ({ beta }, chosen, rejected, { given }) =>
    negativeLogSigmoid(subtract(scale(margin(chosen, rejected), beta), given.margin!)),
});
