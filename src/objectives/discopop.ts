import { add, exp, multiply, negate, scale, sigmoid, softplus, subtract } from "../graph/ops/elementwise.ts";
import { positive } from "../numbers.ts";
import { implicitReward, logRatioMargin } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import { beta } from "./options.ts";

/**
 * DiscoPOP (Lu et al. 2024, arXiv 2406.08414, Eq. 5), a loss that a language model proposed:
 * `(1 − g) · (−log σ(u)) + g · e^(−u)`, `g = σ(u / τ)`, `u = β (Σρ_w − Σρ_l)`. Values equal TRL's
 * `discopop`. It is not convex: for τ = 0.05 a pair at u = 0 is first pulled to u = −0.12, the
 * wrong side, where a local minimum lies.
 */
export const discopop = pairObjective({
  name: "discopop",
  summary: "a blend of dpo's loss and an exponential one, found by search; tau is how sharply it turns",
  paper: { by: "Lu et al. 2024", arXiv: "2406.08414" },
  formula: "−(1 − g) log σ(u) + g e^(−u), g = σ(u/τ)",
  checked: "equals TRL's discopop",
  options: {
    beta,
    tau: positive(1, "above 1 the exponential part grows without bound")
      .default(0.05)
      .describe("the width of the turn from one loss to the other"),
  },
  loss({ beta, tau }, chosen, rejected) {
    const u = scale(logRatioMargin(chosen, rejected), beta);
    const logistic = multiply(sigmoid(scale(u, -1 / tau)), negativeLogSigmoid(u));
    // g e^(−u) = e^(log g − u), which does not overflow.
    const exponential = exp(subtract(negate(softplus(scale(u, -1 / tau))), u));
    return add(logistic, exponential);
  },
  reward: implicitReward,
});
