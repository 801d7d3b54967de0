/** Sums and means over the tokens of an answer. */
import { maximum, minimum } from "../graph/ops/comparison.ts";
import { constant, divide, multiply, scale, subtract } from "../graph/ops/elementwise.ts";
import { expandLike, sum } from "../graph/ops/reduce.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Answer } from "./objective.ts";
import type { VocabularyStatistic } from "./statistics.ts";

/** Σ_t w_t s_t: from [examples, length] to [examples]. */
export function tokenSum({ weight }: Answer, perToken: Tensor): Tensor {
  return sum(weight ? multiply(perToken, weight) : perToken, [1]);
}

/**
 * Σ_t w_t s_t / n, where n is the answer's length unless a token rule says otherwise. The mean over
 * no tokens is 0.
 */
export function tokenMean(answer: Answer, perToken: Tensor): Tensor {
  return divide(tokenSum(answer, perToken), maximum(answer.count ?? length(answer), constant(1)));
}

/** How the tokens of an answer become one number. */
export const aggregates = { sum: tokenSum, mean: tokenMean };
export type Aggregate = keyof typeof aggregates;

/** Σ_t w_t ρ_t, or their mean. */
export function logRatio(answer: Answer, aggregate: Aggregate = "sum"): Tensor {
  return aggregates[aggregate](answer, answer.ratio);
}

/** The log-ratio of the chosen answer minus that of the rejected one. */
export function logRatioMargin(chosen: Answer, rejected: Answer, aggregate: Aggregate = "sum"): Tensor {
  return subtract(logRatio(chosen, aggregate), logRatio(rejected, aggregate));
}

/** β Σ_t w_t ρ_t, the implicit reward of DPO and most of its kin. */
export function implicitReward({ beta }: { readonly beta: number }, answer: Answer): Tensor {
  return scale(logRatio(answer), beta);
}

/** Σ_t w_t log π(y_t), or their mean. */
export function logProbability(answer: Answer, aggregate: Aggregate = "sum"): Tensor {
  return aggregates[aggregate](answer, answer.policyLogp);
}

/** Σ_t w_t s_t of a statistic over the vocabulary. */
export function statisticSum(answer: Answer, name: VocabularyStatistic): Tensor {
  return tokenSum(answer, statistic(answer, name));
}

/** @throws Error if the objective did not declare it. */
export function statistic(answer: Answer, name: VocabularyStatistic): Tensor {
  const tensor = answer[name];
  if (!tensor) throw new Error(`${name} is used, but not declared among the objective's statistics`);
  return tensor;
}

/** The number of tokens, [examples]. */
export function length({ mask }: Answer): Tensor {
  return sum(mask, [1]);
}

/** Σ_t w_t: the number of tokens, each as it counts in sums. */
export function countedLength(answer: Answer): Tensor {
  return tokenSum(answer, answer.mask);
}

/** The number of tokens of the shorter answer, [examples]. */
export function shorterLength(a: Answer, b: Answer): Tensor {
  return minimum(length(a), length(b));
}

/**
 * The mean over the examples of the step, a scalar, of one number each; for objectives of scope
 * `step`.
 */
export function stepMean(perExample: Tensor): Tensor {
  return divide(sum(perExample, [0]), stepCount(perExample));
}

/** The number of the step's examples, a scalar. */
export function stepCount(perExample: Tensor): Tensor {
  return sum(expandLike(constant(1), perExample), [0]);
}
