import type { Tensor } from "../tensor.ts";
import { add, constant, exp, multiply, scale, sigmoid, square, unary } from "./elementwise.ts";

/** `x * sigmoid(x)`, the activation called SiLU or swish. */
export function silu(x: Tensor): Tensor {
  return multiply(x, sigmoid(x));
}

/**
 * `x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`, the approximation of GELU that transformers calls
 * `gelu_new` (Hendrycks & Gimpel 2016). Written with `(1 + tanh(u)) / 2 = sigmoid(2u)`.
 */
export function geluTanh(x: Tensor): Tensor {
  const inner = multiply(x, add(constant(1), scale(square(x), 0.044715)));
  return multiply(x, sigmoid(scale(inner, Math.sqrt(8 / Math.PI))));
}

/** The error function `2/√π ∫₀ˣ e^(-t²) dt`. */
export const erf = unary("erf", "Erf", errorFunction, (x, _y, dy) =>
  multiply(dy, scale(exp(scale(square(x), -1)), 2 / Math.sqrt(Math.PI))),
);

/**
 * `2/√π e^(-x²) Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1))`, whose terms have one sign, so that no digits
 * cancel.
 */
function errorFunction(x: number): number {
  // Beyond 6 no double lies between it and ±1.
  if (Math.abs(x) > 6) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let odd = 3; Math.abs(term) > Math.abs(sum) * 1e-17; odd += 2) {
    term *= (2 * x * x) / odd;
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** `x / 2 · (1 + erf(x / √2))`, the activation called GELU (Hendrycks & Gimpel 2016). */
export function gelu(x: Tensor): Tensor {
  return multiply(scale(x, 0.5), add(constant(1), erf(scale(x, Math.SQRT1_2))));
}
