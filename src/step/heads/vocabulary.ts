import { add, constant, exp, multiply, subtract } from "../../graph/ops/elementwise.ts";
import { pick } from "../../graph/ops/indexing.ts";
import { linear } from "../../graph/ops/matmul.ts";
import { sum } from "../../graph/ops/reduce.ts";
import { logSoftmax } from "../../graph/ops/softmax.ts";
import type { Section } from "../../graph/section.ts";
import { input, type Tensor } from "../../graph/tensor.ts";
import type { Divergence } from "../../objectives/objective.ts";

/** What is wanted besides the policy's log-probability of each scored token. */
export interface StatisticsNeeds {
  reference: boolean;
  divergences?: readonly Divergence[];
  /** Whether the policy's head does not train. */
  frozenHead?: boolean;
}

/** Sizes of the models concerned; they share a vocabulary. */
export interface StatisticsSizes {
  vocabularySize: number;
  policyWidth: number;
  referenceWidth: number;
}

/**
 * From hidden states to per-token statistics, each [rows]: `policyLogp` and `referenceLogp`, the log-probability of the label, and the
 * divergence over the whole vocabulary. The vocabulary's distributions exist only inside; the policy's and the reference's
 * log-probabilities [rows, vocabulary] are saved for the backward pass.
 */
export function tokenStatistics(
  sizes: StatisticsSizes,
  { reference: withReference, divergences = [], frozenHead = false }: StatisticsNeeds,
): Section {
  const hidden = input(["rows", sizes.policyWidth]);
  const head = input([sizes.vocabularySize, sizes.policyWidth]);
  const labels = input(["rows"], "int");
  const referenceHidden = input(["rows", sizes.referenceWidth]);
  const referenceHead = input([sizes.vocabularySize, sizes.referenceWidth]);
  const referenceLogits = withReference ? linear(referenceHidden, referenceHead) : undefined;
  return {
    name: "token statistics",
    inputs: { hidden },
    constants: { labels, ...(withReference && { referenceHidden, referenceHead }), ...(frozenHead && { head }) },
    parameters: frozenHead ? {} : { head },
    ...statisticsOfLogits(labels, linear(hidden, head), referenceLogits, divergences),
  };
}

/** The same from logits [rows, vocabulary] of the policy and, if there is one, of the reference. */
export function statisticsOfLogits(
  labels: Tensor,
  policyLogits: Tensor,
  referenceLogits: Tensor | undefined,
  divergences: readonly Divergence[],
): Pick<Section, "outputs" | "saved"> {
  const policy = logSoftmax(policyLogits);
  const policyLogp = pick(policy, labels);
  if (!referenceLogits) return { outputs: { policyLogp }, saved: { policy } };
  const reference = logSoftmax(referenceLogits);
  const perToken = divergences.map((divergence) => [divergence, divergenceOf[divergence](policy, reference)] as const);
  return {
    outputs: { policyLogp, referenceLogp: pick(reference, labels), ...Object.fromEntries(perToken) },
    saved: divergences.length > 0 ? { policy, reference } : { policy },
  };
}

/** From log-probabilities [rows, vocabulary] to the divergence of each row. */
const divergenceOf: Record<Divergence, (policy: Tensor, reference: Tensor) => Tensor> = {
  klReferencePolicy: (policy, reference) => relativeEntropy(reference, policy),
  klPolicyReference: (policy, reference) => relativeEntropy(policy, reference),
};

/**
 * KL(p || q) = Σ_v p(v) (log p(v) - log q(v)), from log-probabilities. Adding q(v) - p(v) to each term changes nothing, since both sum to
 * one, but cancels the rounding of the two normalisations, which would drown the divergence of close models in float32.
 */
function relativeEntropy(p: Tensor, q: Tensor): Tensor {
  return sum(add(multiply(exp(p), subtract(subtract(p, q), constant(1))), exp(q)), [-1]);
}
