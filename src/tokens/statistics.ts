import { exp, multiply, subtract } from "../graph/ops/elementwise.ts";
import { pick } from "../graph/ops/indexing.ts";
import { linear } from "../graph/ops/matmul.ts";
import { sum } from "../graph/ops/reduce.ts";
import { logSoftmax } from "../graph/ops/softmax.ts";
import type { Section } from "../graph/section.ts";
import { input, type Tensor } from "../graph/tensor.ts";

/** The direction of a per-token divergence: KL(reference || policy) or KL(policy || reference). */
export type Divergence = "klReferencePolicy" | "klPolicyReference";

/** What is wanted besides the policy's log-probability of each scored token. */
export interface StatisticsNeeds {
  reference: boolean;
  divergences?: readonly Divergence[];
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
  { reference: withReference, divergences = [] }: StatisticsNeeds,
): Section {
  const name = "token statistics";
  const hidden = input(["rows", sizes.policyWidth]);
  const head = input([sizes.vocabularySize, sizes.policyWidth]);
  const labels = input(["rows"], "int");
  const policy = logSoftmax(linear(hidden, head));
  const policyLogp = pick(policy, labels);
  const common = { name, inputs: { hidden }, parameters: { head } };
  if (!withReference) return { ...common, constants: { labels }, outputs: { policyLogp }, saved: { policy } };
  const referenceHidden = input(["rows", sizes.referenceWidth]);
  const referenceHead = input([sizes.vocabularySize, sizes.referenceWidth]);
  const reference = logSoftmax(linear(referenceHidden, referenceHead));
  const perToken = divergences.map((divergence) => [divergence, divergenceOf[divergence](policy, reference)] as const);
  return {
    ...common,
    constants: { labels, referenceHidden, referenceHead },
    outputs: { policyLogp, referenceLogp: pick(reference, labels), ...Object.fromEntries(perToken) },
    saved: divergences.length > 0 ? { policy, reference } : { policy },
  };
}

/** From log-probabilities [rows, vocabulary] to the divergence of each row. */
const divergenceOf: Record<Divergence, (policy: Tensor, reference: Tensor) => Tensor> = {
  klReferencePolicy: (policy, reference) => relativeEntropy(reference, policy),
  klPolicyReference: (policy, reference) => relativeEntropy(policy, reference),
};

/** KL(p || q) = Σ_v p(v) (log p(v) - log q(v)), from log-probabilities. */
function relativeEntropy(p: Tensor, q: Tensor): Tensor {
  return sum(multiply(exp(p), subtract(p, q)), [-1]);
}
