import { subtract } from "../graph/ops/elementwise.ts";
import { sum } from "../graph/ops/reduce.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Divergence } from "../tokens/statistics.ts";

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

/** Σ_t ρ_t = Σ_t log π(y_t) - log π_ref(y_t); without a reference, Σ_t log π(y_t). */
export function sequenceLogRatio({ policyLogp, referenceLogp }: ResponseStatistics): Tensor {
  return sequenceSum(referenceLogp ? subtract(policyLogp, referenceLogp) : policyLogp);
}
