import type { Objective } from "../objectives/objective.ts";
import type { JudgedExample } from "./learner.ts";
import { divisor } from "./means.ts";
import type { ScoredExample } from "./scorer.ts";

/**
 * Figures by name, as TRL names them where it has them; every one is a mean over exactly the
 * examples given.
 */
export type Metrics = Record<string, number>;

/** A figure of one answer of an example: 0 is the chosen, 1 the rejected one. */
export type OfAnswer<Example> = (example: Example, side: number) => number;

/**
 * Summarises examples that an objective has judged: its loss and rewards, then their statistics
 * (see `summarizeStatistics`).
 *
 * `rewards/*` are the objective's own; `plain_rewards/*` are β Σρ without importance weights, so
 * that methods can be compared. An objective without β has no plain rewards: its log-ratios Σρ are
 * `log_ratios/*` instead. Ties count one half in accuracies.
 */
export function summarize(examples: readonly JudgedExample[], objective: Objective): Metrics {
  const metrics: Metrics = { loss: meanLoss(examples, objective) };
  if (objective.responses === 2)
    for (const [name, value] of Object.entries(comparisons(examples))) addSides(metrics, name, examples, value);
  return { ...metrics, ...summarizeStatistics(examples) };
}

/**
 * Summarises statistics. Log-probabilities and KL divergences are sums over a response, in nats.
 * `weights/*` are means over the tokens of a response.
 */
export function summarizeStatistics(examples: readonly ScoredExample[]): Metrics {
  const metrics: Metrics = {};
  const [first] = examples[0]?.responses ?? [];
  if (examples[0]?.responses.length === 1) {
    metrics.logps = mean(examples, ({ responses }) => total(responses[0]!.policyLogp));
    metrics.tokens_per_response = mean(examples, ({ responses }) => responses[0]!.policyLogp!.length);
    return metrics;
  }
  const sums = [
    ["logps", "policyLogp"],
    ["ref_logps", "referenceLogp"],
    ["seq_kl", "klReferencePolicy"],
  ] as const;
  const addAnswers = (name: string, value: OfAnswer<ScoredExample>) => {
    for (const [side, label] of ["chosen", "rejected"].entries())
      metrics[`${name}/${label}`] = mean(examples, (example) => value(example, side));
  };
  for (const [name, statistic] of sums)
    if (first?.[statistic]) addAnswers(name, ({ responses }, side) => total(responses[side]![statistic]));
  if (first?.weight)
    addAnswers("weights", ({ responses }, side) => total(responses[side]!.weight) / responses[side]!.weight!.length);
  if ("seq_kl/chosen" in metrics) metrics["seq_kl/margins"] = metrics["seq_kl/chosen"]! - metrics["seq_kl/rejected"]!;
  return metrics;
}

/** The figures that pairs are compared by. */
export function comparisons(examples: readonly JudgedExample[]): Record<string, OfAnswer<JudgedExample>> {
  const [first] = examples;
  const { rewards, plainRewards } = first?.outcome ?? {};
  return {
    ...(rewards && { rewards: ({ outcome }, side) => outcome.rewards![side]! }),
    ...(plainRewards && { plain_rewards: ({ outcome }, side) => outcome.plainRewards![side]! }),
    ...(!plainRewards &&
      first?.responses[0]?.referenceLogp && { log_ratios: ({ responses }, side) => logRatio(responses[side]!) }),
  };
}

/** Σ weight · mean over the objective's terms. */
function meanLoss(examples: readonly JudgedExample[], { terms }: Objective): number {
  const lengths = examples.map(({ responses }) => ({ responses: responses.map(({ policyLogp }) => policyLogp!) }));
  return terms.reduce((sum, term, index) => {
    const losses = examples.reduce((all, { outcome }) => all + outcome.losses[index]!, 0);
    return sum + term.weight * (losses / divisor(term, lengths));
  }, 0);
}

/** Means of both sides, their margin, and how often the chosen side is higher. */
export function addSides<Example extends ScoredExample>(
  metrics: Metrics,
  name: string,
  examples: readonly Example[],
  value: OfAnswer<Example>,
): void {
  metrics[`${name}/chosen`] = mean(examples, (example) => value(example, 0));
  metrics[`${name}/rejected`] = mean(examples, (example) => value(example, 1));
  metrics[`${name}/margins`] = metrics[`${name}/chosen`]! - metrics[`${name}/rejected`]!;
  metrics[`${name}/accuracies`] = mean(examples, (example) => {
    const margin = value(example, 0) - value(example, 1);
    return margin === 0 ? 0.5 : Number(margin > 0);
  });
}

/** Σρ over a response: log π − log π_ref, in nats. */
export function logRatio({ policyLogp, referenceLogp }: ScoredExample["responses"][number]): number {
  return total(policyLogp) - total(referenceLogp);
}

/** Sum of a vector; 0 for a missing one. */
export function total(vector: Float64Array | undefined): number {
  return vector?.reduce((sum, value) => sum + value, 0) ?? 0;
}

/** Mean of a value over examples. */
export function mean<Example>(examples: readonly Example[], value: (example: Example) => number): number {
  return examples.reduce((sum, example) => sum + value(example), 0) / examples.length;
}
