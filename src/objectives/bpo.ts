import { z } from "zod";
import { minimum } from "../graph/ops/comparison.ts";
import { scale } from "../graph/ops/elementwise.ts";
import { positive } from "../numbers.ts";
import { implicitReward, logRatio } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { hingeLoss, negativeLogSigmoid } from "./losses.ts";
import { beta } from "./options.ts";

/**
 * Balanced preference optimization (Sun et al. 2025, arXiv 2506.03557): `ℓ(β min(Σρ_w, −α Σρ_l))`,
 * so that only the answer that lags behind is moved. ℓ is `max(0, 1 − u)` or `−log σ(u)`. Form and
 * defaults are those of the authors' code. TRL has no counterpart.
 */
export const bpo = pairObjective({
  name: "bpo",
  summary: "balanced: moves the one of both answers that lags behind; alpha weighs the rejected one",
  paper: { by: "Sun et al. 2025", arXiv: "2506.03557" },
  formula: "ℓ(β min(Σρ_w, −α Σρ_l))",
  checked: "a second computation; the form is that of the authors' code",
  options: {
    beta,
    alpha: positive(1e4).default(0.3).describe("how much the rejected answer's log-ratio counts"),
    loss: z.enum(["hinge", "logistic"]).default("hinge").describe("max(0, 1 − u) or −log σ(u)"),
  },
  shown: ["beta", "alpha"],
  loss({ beta, alpha, loss }, chosen, rejected) {
    const lagging = minimum(logRatio(chosen), scale(logRatio(rejected), -alpha));
    return { hinge: hingeLoss, logistic: negativeLogSigmoid }[loss](scale(lagging, beta));
  },
  reward: implicitReward,
});
