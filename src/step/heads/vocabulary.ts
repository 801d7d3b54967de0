import {
  add,
  constant,
  exp,
  log,
  multiply,
  negate,
  scale,
  stopGradient,
  subtract,
} from "../../graph/ops/elementwise.ts";
import { pick } from "../../graph/ops/indexing.ts";
import { sum } from "../../graph/ops/reduce.ts";
import { logSoftmax } from "../../graph/ops/softmax.ts";
import type { Section } from "../../graph/section.ts";
import { input, type Tensor } from "../../graph/tensor.ts";
import { type Architecture, headInputs, logitsOf, namedHead } from "../../models/architecture.ts";
import { comparesWithReference, type StatisticUses, type VocabularyStatistic } from "../../objectives/statistics.ts";

/** What is wanted besides the policy's log-probability of each scored token. */
export interface StatisticsNeeds {
  /** Those that compare with the reference are left out without one. */
  statistics?: StatisticUses;
  /** Whether the policy's head does not train. */
  frozenHead?: boolean;
}

/** What a model's statistics depend on. */
export type HeadShape = Pick<Architecture, "vocabularySize" | "width" | "headBias" | "finishLogits">;

/**
 * From hidden states to per-token statistics, each [rows]: `policyLogp` and `referenceLogp`, the
 * log-probability of the label, and the statistics over the vocabulary that are declared. The
 * vocabulary's distributions exist only inside; the log-probabilities [rows, vocabulary] that
 * gradients need are saved for the backward pass.
 *
 * @param reference has the policy's vocabulary; undefined where there is none
 */
export function tokenStatistics(
  policy: HeadShape,
  reference: HeadShape | undefined,
  { statistics = {}, frozenHead = false }: StatisticsNeeds,
): Section {
  const labels = input(["rows"], "int");
  const { hidden, head, logits } = applied(policy);
  const compared = reference && applied(reference);
  const parameters = namedHead("head", head);
  return {
    name: "token statistics",
    inputs: { hidden },
    constants: {
      labels,
      ...(compared && { referenceHidden: compared.hidden, ...namedHead("referenceHead", compared.head) }),
      ...(frozenHead && parameters),
    },
    parameters: frozenHead ? {} : parameters,
    ...statisticsOfLogits(labels, logits, compared?.logits, statistics),
  };
}

/** A model's head on hidden states. */
function applied(shape: HeadShape) {
  const hidden = input(["rows", shape.width]);
  const head = headInputs(shape);
  return { hidden, head, logits: logitsOf(shape, hidden, head) };
}

/** The same from logits [rows, vocabulary] of the policy and, if there is one, of the reference. */
export function statisticsOfLogits(
  labels: Tensor,
  policyLogits: Tensor,
  referenceLogits: Tensor | undefined,
  uses: StatisticUses,
): Pick<Section, "outputs" | "saved"> {
  const policy = logSoftmax(policyLogits);
  const policyLogp = pick(policy, labels);
  const reference = referenceLogits && logSoftmax(referenceLogits);
  const declared = (Object.keys(uses) as VocabularyStatistic[]).filter(
    (name) => reference || !comparesWithReference(name),
  );
  const distributions = { policy, reference: reference ?? policy, policyLogp };
  const statistics = declared.map((name) => {
    const statistic = statisticOf[name](distributions);
    return [name, uses[name] === "gradient" ? statistic : stopGradient(statistic)] as const;
  });
  const comparing = declared.some((name) => uses[name] === "gradient" && comparesWithReference(name));
  return {
    outputs: {
      policyLogp,
      ...(reference && { referenceLogp: pick(reference, labels) }),
      ...Object.fromEntries(statistics),
    },
    saved: reference && comparing ? { policy, reference } : { policy },
  };
}

/** Log-probabilities [rows, vocabulary], and the policy's of the labels, [rows]. */
interface Distributions {
  readonly policy: Tensor;
  readonly reference: Tensor;
  readonly policyLogp: Tensor;
}

/** From distributions to the statistic of each row. */
const statisticOf: Record<VocabularyStatistic, (of: Distributions) => Tensor> = {
  klReferencePolicy: ({ policy, reference }) => relativeEntropy(reference, policy),
  klPolicyReference: ({ policy, reference }) => relativeEntropy(policy, reference),
  entropy: ({ policy }) => negate(sum(multiply(exp(policy), policy), [-1])),
  // The largest π(v) is at least one in the vocabulary's size, so its square stays far from the
  // smallest float.
  logSumSquares: ({ policy }) => log(sum(exp(scale(policy, 2)), [-1])),
  othersLogp: ({ policy, policyLogp }) =>
    subtract(
      sum(multiply(stopGradient(exp(policy)), policy), [-1]),
      multiply(stopGradient(exp(policyLogp)), policyLogp),
    ),
};

/**
 * KL(p || q) = Σ_v p(v) (log p(v) - log q(v)), from log-probabilities. Adding q(v) - p(v) to each
 * term changes nothing, since both sum to one, but cancels the rounding of the two normalisations,
 * which would drown the divergence of close models in float32.
 */
function relativeEntropy(p: Tensor, q: Tensor): Tensor {
  return sum(add(multiply(exp(p), subtract(subtract(p, q), constant(1))), exp(q)), [-1]);
}
