import type { Objective } from "../objectives/objective.ts";
import type { JudgedExample, Learner } from "./learner.ts";
import { summarize } from "./metrics.ts";
import type { ObjectiveState, ResponseVectors } from "./objective-evaluator.ts";
import type { ScoredExample } from "./scorer.ts";

/**
 * The loss of a policy that knows nothing of its own: one that equals its reference or, where the
 * loss compares with none, guesses uniformly among all tokens of the vocabulary.
 */
export function lossOfIndifference(
  learner: Learner,
  objective: Objective,
  examples: readonly ScoredExample[],
  { vocabularySize, state }: { vocabularySize: number; state: ObjectiveState },
): number {
  const compared = objective.reference === "loss";
  const indifferent = (vectors: ResponseVectors): ResponseVectors => {
    const { policyLogp, referenceLogp } = vectors;
    const zeros = new Float64Array(policyLogp!.length);
    const same = compared ? referenceLogp! : zeros.map(() => -Math.log(vocabularySize));
    const divergences = compared ? { klReferencePolicy: zeros, klPolicyReference: zeros } : {};
    const reported = Object.fromEntries(learner.scorer.names.map((name) => [name, vectors[name] ?? zeros]));
    return { ...reported, ...divergences, policyLogp: same };
  };
  const imagined = examples.map(({ example, responses }) => ({ example, responses: responses.map(indifferent) }));
  return summarize(learner.judge(imagined, state), objective).loss!;
}

/**
 * The spread of the losses of examples: their standard deviation. Terms whose mean is over tokens
 * are left out, since their losses are sums.
 */
export function spreadOfLosses(examples: readonly JudgedExample[], { terms }: Objective): number {
  const losses = examples.map(({ outcome }) =>
    terms.reduce(
      (sum, { mean, weight }, term) => (mean === "examples" ? sum + weight * outcome.losses[term]! : sum),
      0,
    ),
  );
  const centre = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  return Math.sqrt(losses.reduce((sum, loss) => sum + (loss - centre) ** 2, 0) / losses.length);
}
