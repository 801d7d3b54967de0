import { add, negate, scale } from "../graph/ops/elementwise.ts";
import { implicitReward } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import { beta } from "./options.ts";

/**
 * Noise contrastive alignment for pairs (Chen et al. 2024, arXiv 2402.05369):
 * `−log σ(r_w) − ½ log σ(−r_w) − ½ log σ(−r_l)`, `r = β Σρ`. Values equal TRL's `nca_pair`. The
 * paper's β is 0.01.
 */
export const nca = pairObjective({
  name: "nca",
  summary: "each answer's reward is judged on its own, so that the chosen one does not become unlikely",
  paper: { by: "Chen et al. 2024", arXiv: "2402.05369" },
  formula: "−log σ(r_w) − ½ log σ(−r_w) − ½ log σ(−r_l)",
  checked: "equals TRL's nca_pair",
  options: { beta },
  loss(options, chosen, rejected) {
    const [better, worse] = [implicitReward(options, chosen), implicitReward(options, rejected)];
    const noise = add(negativeLogSigmoid(negate(better)), negativeLogSigmoid(negate(worse)));
    return add(negativeLogSigmoid(better), scale(noise, 0.5));
  },
  reward: implicitReward,
});
