import type { Objective } from "../objectives/objective.ts";
import type { ScoredExample } from "../step/learner.ts";
import { addSides, logRatio, type Metrics, mean, summarize, total } from "../step/metrics.ts";
import { logProbabilities } from "./objective.ts";

/** A figure of one answer of an example: 0 is the chosen, 1 the rejected one. */
type OfAnswer = (example: ScoredExample, side: number) => number;

/**
 * The metrics of training's evaluations (see `summarize`), and for pairs also: how many are ties in each comparison, how often the chosen
 * answer has the higher log-probability (as a sum over its tokens, `logps/*`, and as their mean, `logps_per_token/*`), and the answers'
 * lengths in tokens.
 *
 * @param objective without one there are no loss and no rewards
 */
export function measure(examples: readonly ScoredExample[], objective: Objective | undefined): Metrics {
  const metrics = summarize(examples, objective ?? logProbabilities);
  if (!objective) delete metrics.loss;
  if (objective?.responses === 1) return metrics;
  const comparisons: Record<string, OfAnswer> = {
    ...(examples[0]?.outcome.rewards && { rewards: ({ outcome }, side) => outcome.rewards![side]! }),
    ...(examples[0]?.responses[0]?.referenceLogp && {
      plain_rewards: ({ responses }, side) => (objective?.beta ?? 1) * logRatio(responses[side]!),
    }),
    logps: ({ responses }, side) => total(responses[side]!.policyLogp),
    logps_per_token: ({ responses }, side) => total(responses[side]!.policyLogp) / lengthOf(responses[side]!),
  };
  for (const [name, value] of Object.entries(comparisons)) {
    addSides(metrics, name, examples, value);
    metrics[`${name}/ties`] = examples.filter((example) => value(example, 0) === value(example, 1)).length;
  }
  metrics["tokens/chosen"] = mean(examples, ({ responses }) => lengthOf(responses[0]!));
  metrics["tokens/rejected"] = mean(examples, ({ responses }) => lengthOf(responses[1]!));
  return metrics;
}

function lengthOf({ policyLogp }: ScoredExample["responses"][number]): number {
  return policyLogp!.length;
}
