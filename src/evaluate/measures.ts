import type { Objective } from "../objectives/objective.ts";
import type { JudgedExample } from "../step/learner.ts";
import {
  addSides,
  comparisons,
  type Metrics,
  mean,
  type OfAnswer,
  summarize,
  summarizeStatistics,
  total,
} from "../step/metrics.ts";
import type { ScoredExample } from "../step/scorer.ts";

/**
 * The metrics of training's evaluations (see `summarize`), and for pairs also: how many are ties in
 * each comparison, how often the chosen answer has the higher log-probability (as a sum over its
 * tokens, `logps/*`, and as their mean, `logps_per_token/*`), and the answers' lengths in tokens.
 */
export function measure(examples: readonly JudgedExample[], objective: Objective): Metrics {
  const metrics = summarize(examples, objective);
  if (objective.responses === 2) addComparisons(metrics, examples, comparisons(examples));
  return metrics;
}

/** The same of pairs that no objective has judged: there are no loss and no rewards. */
export function measureStatistics(examples: readonly ScoredExample[]): Metrics {
  const metrics = summarizeStatistics(examples);
  addComparisons(metrics, examples, {});
  return metrics;
}

function addComparisons<Example extends ScoredExample>(
  metrics: Metrics,
  examples: readonly Example[],
  rewards: Record<string, OfAnswer<Example>>,
): void {
  const compared: Record<string, OfAnswer<Example>> = {
    ...rewards,
    logps: ({ responses }, side) => total(responses[side]!.policyLogp),
    logps_per_token: ({ responses }, side) => total(responses[side]!.policyLogp) / lengthOf(responses[side]!),
  };
  for (const [name, value] of Object.entries(compared)) {
    addSides(metrics, name, examples, value);
    metrics[`${name}/ties`] = examples.filter((example) => value(example, 0) === value(example, 1)).length;
  }
  metrics["tokens/chosen"] = mean(examples, ({ responses }) => lengthOf(responses[0]!));
  metrics["tokens/rejected"] = mean(examples, ({ responses }) => lengthOf(responses[1]!));
}

function lengthOf({ policyLogp }: ScoredExample["responses"][number]): number {
  return policyLogp!.length;
}
