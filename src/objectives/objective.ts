import { multiply, subtract } from "../graph/ops/elementwise.ts";
import { sum } from "../graph/ops/reduce.ts";
import type { Tensor } from "../graph/tensor.ts";

/** The direction of a per-token divergence: KL(reference ‖ policy) or KL(policy ‖ reference). */
export type Divergence = "klReferencePolicy" | "klPolicyReference";

/**
 * Per-token statistics of one response of each example, [examples, length] and zero behind a response's end, so that sums over the length
 * are sums over the response. What an objective did not ask for is missing.
 */
export interface ResponseStatistics {
  /** Log-probability of the token under the policy: log π(y_t | x, y_<t). */
  readonly policyLogp: Tensor;
  /** The same under the reference. */
  readonly referenceLogp?: Tensor;
  readonly klReferencePolicy?: Tensor;
  readonly klPolicyReference?: Tensor;
  /** Importance weights w_t of the tokens, constants; without them every token counts as 1. */
  readonly weight?: Tensor;
}

/** What an objective makes of its statistics, each [examples]. */
export interface ObjectiveResult {
  readonly losses: Tensor;
  /** The implicit rewards that the published code logs: chosen, then rejected. */
  readonly rewards?: readonly [Tensor, Tensor];
}

/**
 * A loss over per-token statistics. It declares what it needs, and nothing else ever asks which objective is running.
 */
export interface Objective {
  readonly name: string;
  /** 2: chosen and rejected; 1: one response to imitate. */
  readonly responses: 1 | 2;
  /** Whether the reference model is part of the loss, of the logged rewards only, or of nothing. */
  readonly reference: "loss" | "rewards" | "none";
  /** The divergence that must be computed over the whole vocabulary at every scored token. */
  readonly divergence?: Divergence;
  /** Whether it is made for importance weights. Others that compare answers take them too: every sum over tokens then becomes a weighted one. */
  readonly weights?: "required";
  /** β, for the plain implicit reward β Σρ that is logged beside the objective's own. */
  readonly beta?: number;
  /** What the step's loss is a mean over. */
  readonly mean: "examples" | "tokens";
  /** @param responses statistics of as many responses as `responses` says */
  evaluate(responses: readonly ResponseStatistics[]): ObjectiveResult;
}

/** Σ_t over a response: [examples, length] to [examples]. */
export function sequenceSum(perToken: Tensor): Tensor {
  return sum(perToken, [1]);
}

/** Σ_t w_t s_t, where s is a statistic of a response and w its importance weights: 1 where it has none. */
export function weightedSum(perToken: Tensor, { weight }: ResponseStatistics): Tensor {
  return sequenceSum(weight ? multiply(perToken, weight) : perToken);
}

/** Σ_t w_t ρ_t, where ρ_t = log π(y_t) - log π_ref(y_t); without a reference, Σ_t w_t log π(y_t). */
export function sequenceLogRatio(response: ResponseStatistics): Tensor {
  const { policyLogp, referenceLogp } = response;
  return weightedSum(referenceLogp ? subtract(policyLogp, referenceLogp) : policyLogp, response);
}
