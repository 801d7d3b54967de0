/** Losses as functions of one number for each pair. */
import { minimum, relu } from "../graph/ops/comparison.ts";
import { add, constant, exp, negate, scale, softplus, subtract } from "../graph/ops/elementwise.ts";
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

/** `max(0, 1 − u)`. */
export function hingeLoss(u: Tensor): Tensor {
  return relu(subtract(constant(1), u));
}

/** `e^x`, held at `e^80`, the largest that float32 represents with room for a factor. */
export function boundedExp(x: Tensor): Tensor {
  return exp(minimum(x, constant(80)));
}
