/** Losses as functions of one number for each pair. */
import { add, negate, scale, softplus } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";

/** `−log σ(u)`, without overflow. */
export function negativeLogSigmoid(u: Tensor): Tensor {
  return softplus(negate(u));
}

/**
 * `(1 − ε) ℓ(u) + ε ℓ(−u)`: ε is the share of pairs that are assumed to be labelled the wrong way
 * round.
 */
export function smoothed(loss: (u: Tensor) => Tensor, u: Tensor, epsilon: number): Tensor {
  return add(scale(loss(u), 1 - epsilon), scale(loss(negate(u)), epsilon));
}
