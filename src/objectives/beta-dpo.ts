import { less, maximum, where } from "../graph/ops/comparison.ts";
import {
  add,
  constant,
  divide,
  log,
  multiply,
  negate,
  scale,
  sqrt,
  square,
  stopGradient,
  subtract,
} from "../graph/ops/elementwise.ts";
import { expandLike, sum } from "../graph/ops/reduce.ts";
import { rank } from "../graph/ops/sorting.ts";
import type { Tensor } from "../graph/tensor.ts";
import { nonnegative } from "../numbers.ts";
import { implicitReward, logRatioMargin, stepCount, stepMean } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { negativeLogSigmoid } from "./losses.ts";
import type { Answer } from "./objective.ts";
import { beta, termWeight } from "./options.ts";

/** Margins that lie no further apart, in nats, differ by rounding. */
const noDeviation = 1e-6;

/**
 * β-DPO (Wu et al. 2024, arXiv 2407.08639), DPO with a β for each step:
 * `β_step = max(0.001, β (1 + α (mean Δ − M)))`, `Δ = Σρ_w − Σρ_l`. The mean is over the pairs that
 * are kept: ⌊(1 − filtered) · pairs⌋, at least one, drawn without replacement with weights
 * `exp(−½ ((Δ − M) / D)²)`. M and D are moving averages of the mean and the deviation of Δ, which
 * begin at 0 and see the step before they are used. The loss is the mean over the kept pairs. While
 * D is 0 it is plain DPO: where policy and reference are still equal (the authors' code divides 0
 * by 0 there), and for a model that is evaluated without the state of its run. Formulas and
 * defaults are those of the authors' code, whose README gives α and the share; there a batch on
 * each device counts as a step. TRL has no counterpart.
 */
export const betaDpo = pairObjective({
  name: "beta-dpo",
  summary: "dpo whose beta grows with the step's margins, without the pairs that are far from usual",
  paper: { by: "Wu et al. 2024", arXiv: "2407.08639" },
  formula: "−log σ(u) with β (1 + α (mean Δ − M)) for β, over the pairs that are kept",
  checked: "a second computation; the form is that of the authors' code",
  options: {
    beta,
    alpha: termWeight(0.6, "how much the step's margins change beta"),
    filtered: nonnegative(0.99).default(0.2).describe("the share of each step's pairs that is left out"),
    momentum: nonnegative(0.999999).default(0.9).describe("how much of the moving averages stays in each step"),
  },
  shown: ["beta", "alpha"],
  needs: { random: true },
  state: {
    initial: { mean: 0, deviation: 0 },
    update({ momentum }, chosen, rejected, { state }) {
      const margin = logRatioMargin(chosen, rejected);
      const moved = (before: Tensor, now: Tensor) => add(scale(before, momentum), scale(now, 1 - momentum));
      return {
        mean: moved(state.mean!, stepMean(margin)),
        deviation: moved(state.deviation!, deviationOf(margin)),
      };
    },
  },
  loss({ beta, alpha, filtered }, chosen, rejected, { state }) {
    const margin = logRatioMargin(chosen, rejected);
    const distance = stopGradient(subtract(margin, state.mean!));
    const known = less(constant(noDeviation), state.deviation!);
    const taken = drawn(distance, state.deviation!, randomOf(chosen), 1 - filtered);
    const kept = maximum(taken, subtract(constant(1), known));
    const share = divide(kept, stepMean(kept));
    const growth = multiply(known, scale(stepMean(multiply(share, distance)), alpha));
    const ofStep = maximum(scale(add(growth, constant(1)), beta), constant(1e-3));
    return multiply(negativeLogSigmoid(multiply(margin, ofStep)), share);
  },
  reward: implicitReward,
});

/**
 * 1 for the pairs that are kept, 0 for the others. A draw without replacement with weights w takes
 * those whose exponential variable, divided by w, is smallest (Efraimidis and Spirakis 2006).
 */
function drawn(distance: Tensor, deviation: Tensor, random: Tensor, share: number): Tensor {
  const logWeight = scale(square(divide(distance, maximum(deviation, constant(noDeviation)))), -0.5);
  const place = rank(subtract(log(negate(log(maximum(random, constant(1e-12))))), logWeight));
  const room = maximum(scale(stepCount(place), share), constant(1));
  const ones = expandLike(constant(1), place);
  return where(less(room, add(place, ones)), subtract(ones, ones), ones);
}

/** The number that the answer's first token drew, [examples]. */
function randomOf({ random, position, mask }: Answer): Tensor {
  return sum(multiply(random!, multiply(mask, less(position, constant(1.5)))), [1]);
}

/** The deviation over the step's examples, with n − 1; 0 for one example. */
function deviationOf(perExample: Tensor): Tensor {
  const squares = sum(square(subtract(perExample, stepMean(perExample))), [0]);
  return sqrt(divide(squares, maximum(subtract(stepCount(perExample), constant(1)), constant(1))));
}
