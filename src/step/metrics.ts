import type { Objective } from "../objectives/objective.ts";
import type { ScoredExample } from "./learner.ts";

/** Figures by name, as TRL names them where it has them; every one is a mean over exactly the examples given. */
export type Metrics = Record<string, number>;

/**
 * Summarises scored examples.
 *
 * Log-probabilities, log-ratios and KL divergences are sums over a response, in nats. `rewards/*` are the objective's own;
 * `plain_rewards/*` are β Σρ for every objective, without importance weights, so that methods can be compared. Ties count one half in
 * accuracies. `weights/*` are means over the tokens of a response.
 */
export function summarize(examples: readonly ScoredExample[], objective: Objective): Metrics {
  const tokens = mean(examples, ({ responses }) =>
    responses.reduce((sum, { policyLogp }) => sum + policyLogp!.length, 0),
  );
  const loss = mean(examples, ({ outcome }) => outcome.loss);
  const metrics: Metrics = { loss: objective.mean === "tokens" ? loss / tokens : loss };
  if (objective.responses === 1) {
    metrics.logps = mean(examples, ({ responses }) => total(responses[0]!.policyLogp));
    metrics.tokens_per_response = tokens;
    return metrics;
  }
  if (examples[0]?.outcome.rewards)
    addSides(metrics, "rewards", examples, ({ outcome }, side) => outcome.rewards![side]!);
  if (examples[0]?.responses[0]?.referenceLogp) {
    const reward = ({ responses }: ScoredExample, side: number) => (objective.beta ?? 1) * logRatio(responses[side]!);
    addSides(metrics, "plain_rewards", examples, reward);
  }
  const sums = [
    ["logps", "policyLogp"],
    ["ref_logps", "referenceLogp"],
    ["seq_kl", "klReferencePolicy"],
  ] as const;
  for (const [name, statistic] of sums) {
    if (!examples[0]?.responses[0]?.[statistic]) continue;
    for (const [side, label] of ["chosen", "rejected"].entries()) {
      metrics[`${name}/${label}`] = mean(examples, ({ responses }) => total(responses[side]![statistic]));
    }
  }
  if (examples[0]?.responses[0]?.weight) {
    for (const [side, label] of ["chosen", "rejected"].entries()) {
      metrics[`weights/${label}`] = mean(
        examples,
        ({ responses }) => total(responses[side]!.weight) / responses[side]!.weight!.length,
      );
    }
  }
  if ("seq_kl/chosen" in metrics) metrics["seq_kl/margins"] = metrics["seq_kl/chosen"]! - metrics["seq_kl/rejected"]!;
  return metrics;
}

/** Means of both sides, their margin, and how often the chosen side is higher. */
export function addSides(
  metrics: Metrics,
  name: string,
  examples: readonly ScoredExample[],
  value: (example: ScoredExample, side: number) => number,
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
export function mean(examples: readonly ScoredExample[], value: (example: ScoredExample) => number): number {
  return examples.reduce((sum, example) => sum + value(example), 0) / examples.length;
}
