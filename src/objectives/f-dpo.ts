import { z } from "zod";
import { negate, scale, softplus, subtract } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";
import { within } from "../numbers.ts";
import { implicitReward, logRatio } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { boundedExp, negativeLogSigmoid } from "./losses.ts";
import type { Answer } from "./objective.ts";
import { beta } from "./options.ts";

const divergences = ["forward-kl", "jensen-shannon", "alpha"] as const;

/**
 * f-DPO (Wang et al. 2024, arXiv 2309.16240): `−log σ(β (f'(e^S_w) − f'(e^S_l)))`, `S = Σρ`, for
 * divergences other than DPO's reverse KL. f' is `−e^(−S)` for the forward KL, `log σ(S)` for
 * Jensen-Shannon and `e^((α − 1) S) / (α − 1)` for α. Values equal TRL's `f_divergence_type`; what
 * is constant in f' cancels. TRL's α is 1 less the exponent of the authors' code. Exponents are
 * held at 80, TRL's bound for α. Rewards are `β S`, as TRL logs them.
 */
export const fDpo = pairObjective({
  name: "f-dpo",
  summary: "dpo with another divergence from the reference: forward-kl, jensen-shannon or alpha",
  paper: { by: "Wang et al. 2024", arXiv: "2309.16240" },
  formula: "−log σ(β (f'(e^Σρ_w) − f'(e^Σρ_l)))",
  checked: "equals TRL's sigmoid with each f_divergence_type",
  options: {
    beta,
    divergence: z.enum(divergences).default("forward-kl").describe("what ties the model to the reference"),
    alpha: within(100).default(0.5).describe("of `divergence: alpha`; 1 is dpo, towards 0 the forward KL"),
  },
  shown: ["beta", "divergence"],
  loss({ beta, divergence, alpha }, chosen, rejected) {
    const score = (answer: Answer) => derivative(divergence, alpha, logRatio(answer));
    return negativeLogSigmoid(scale(subtract(score(chosen), score(rejected)), beta));
  },
  reward: implicitReward,
});

/** f'(e^S), but for a constant. */
function derivative(divergence: (typeof divergences)[number], alpha: number, logRatio: Tensor): Tensor {
  if (divergence === "jensen-shannon") return negate(softplus(negate(logRatio)));
  const power = divergence === "forward-kl" ? -1 : alpha - 1;
  // As α tends to 1, f' tends to S.
  return Math.abs(power) < 1e-6 ? logRatio : scale(boundedExp(scale(logRatio, power)), 1 / power);
}
