/** Sums and means over the tokens of an answer. */
import { minimum } from "../graph/ops/comparison.ts";
import { constant, divide, multiply } from "../graph/ops/elementwise.ts";
import { expandLike, sum } from "../graph/ops/reduce.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Answer } from "./objective.ts";
import type { VocabularyStatistic } from "./statistics.ts";

/** Σ_t w_t s_t: from [examples, length] to [examples]. */
export function tokenSum({ weight }: Answer, perToken: Tensor): Tensor {
  return sum(weight ? multiply(perToken, weight) : perToken, [1]);
}

/** Σ_t w_t s_t / n, where n is the answer's length unless a token rule says otherwise. */
export function tokenMean(answer: Answer, perToken: Tensor): Tensor {
  return divide(tokenSum(answer, perToken), answer.count ?? length(answer));
}

/** How the tokens of an answer become one number. */
export const aggregates = { sum: tokenSum, mean: tokenMean };
export type Aggregate = keyof typeof aggregates;

/** Σ_t w_t ρ_t, or their mean. */
export function logRatio(answer: Answer, aggregate: Aggregate = "sum"): Tensor {
  return aggregates[aggregate](answer, answer.ratio);
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

/** The number of tokens of the shorter answer, [examples]. */
export function shorterLength(a: Answer, b: Answer): Tensor {
  return minimum(length(a), length(b));
}

/**
 * The mean over the examples of the step, a scalar, of one number each; for objectives of scope
 * `step`.
 */
export function stepMean(perExample: Tensor): Tensor {
  const ones = expandLike(constant(1), perExample);
  return divide(sum(perExample, [0]), sum(ones, [0]));
}
