/**
 * The losses of single pairs against a second, plain computation, and their values where policy and
 * reference are equal.
 */
import { describe, expect, test } from "vitest";
import { Random } from "../random.ts";
import { ObjectiveEvaluator, type ResponseVectors } from "../step/objective-evaluator.ts";
import { createObjective, type ObjectiveOptions } from "./index.ts";

/** What a formula is written in: sums and means of log-ratios and log-probabilities, lengths. */
interface Numbers {
  /** Σρ */
  readonly sum: number;
  /** Σ log π */
  readonly logp: number;
  /** The number of tokens. */
  readonly length: number;
}

type Plain = (w: Numbers, l: Numbers) => number;

const { exp, log, log1p, max, min } = Math;
const sigmoid = (x: number) => 1 / (1 + exp(-x));
/** −log σ(x) */
const logistic = (x: number) => log1p(exp(-x));
const mean = ({ logp, length }: Numbers) => logp / length;
const meanRatio = ({ sum, length }: Numbers) => sum / length;
const logOdds = (answer: Numbers) => log(exp(mean(answer)) / (1 - exp(mean(answer))));
const power = (a: number) => (l: Numbers) => (1 - exp(-a * mean(l))) / a;

/** Every loss with the formula of its paper, for numbers that make each term matter. */
const cases: readonly (readonly [ObjectiveOptions, Plain])[] = [
  [{ name: "dpo", beta: 0.3 }, (w, l) => logistic(0.3 * (w.sum - l.sum))],
  [
    { name: "dpo", beta: 0.3, labelSmoothing: 0.1 },
    (w, l) => 0.9 * logistic(0.3 * (w.sum - l.sum)) + 0.1 * logistic(0.3 * (l.sum - w.sum)),
  ],
  [{ name: "dpo", beta: 2, aggregate: "mean" }, (w, l) => logistic(2 * (meanRatio(w) - meanRatio(l)))],
  [{ name: "dpo", beta: 2, aggregate: "mean", referenceFree: true }, (w, l) => logistic(2 * (mean(w) - mean(l)))],
  [{ name: "ipo", beta: 0.2 }, (w, l) => (w.sum - l.sum - 2.5) ** 2],
  [{ name: "ipo", beta: 0.2, aggregate: "mean" }, (w, l) => (meanRatio(w) - meanRatio(l) - 2.5) ** 2],
  [{ name: "hinge", beta: 0.2 }, (w, l) => max(0, 1 - 0.2 * (w.sum - l.sum))],
  [
    { name: "robust-dpo", beta: 0.3, labelSmoothing: 0.2 },
    (w, l) => (0.8 * logistic(0.3 * (w.sum - l.sum)) - 0.2 * logistic(0.3 * (l.sum - w.sum))) / 0.6,
  ],
  [{ name: "r-dpo", beta: 0.3, alpha: 0.2 }, (w, l) => logistic(0.3 * (w.sum - l.sum) + 0.2 * (w.length - l.length))],
  [{ name: "dpop", beta: 0.3, lambda: 2 }, (w, l) => logistic(0.3 * (w.sum - l.sum - 2 * max(0, -w.sum)))],
  [{ name: "cal-dpo", beta: 0.25 }, (w, l) => logistic(w.sum - l.sum) + 0.5 * ((w.sum - 2) ** 2 + (l.sum + 2) ** 2)],
  [
    { name: "exo", beta: 0.3, labelSmoothing: 0.01 },
    (w, l) => {
      const q = sigmoid(0.3 * (w.sum - l.sum));
      return q * log(q / 0.99) + (1 - q) * log((1 - q) / 0.01);
    },
  ],
  [
    { name: "nca", beta: 0.3 },
    (w, l) => logistic(0.3 * w.sum) + 0.5 * logistic(-0.3 * w.sum) + 0.5 * logistic(-0.3 * l.sum),
  ],
  [{ name: "sppo", beta: 0.25 }, (w, l) => (w.sum - 2) ** 2 + (l.sum + 2) ** 2],
  [{ name: "apo-zero", beta: 0.3 }, (w, l) => 1 - sigmoid(0.3 * w.sum) + sigmoid(0.3 * l.sum)],
  [{ name: "apo-down", beta: 0.3 }, (w, l) => sigmoid(0.3 * w.sum) + 1 - sigmoid(0.3 * (w.sum - l.sum))],
  [{ name: "bco-pair", beta: 0.3, shift: "none" }, (w, l) => logistic(0.3 * w.sum) + logistic(-0.3 * l.sum)],
  [{ name: "bpo", beta: 0.3, alpha: 0.4 }, (w, l) => max(0, 1 - 0.3 * min(w.sum, -0.4 * l.sum))],
  [{ name: "bpo", beta: 0.3, alpha: 0.4, loss: "logistic" }, (w, l) => logistic(0.3 * min(w.sum, -0.4 * l.sum))],
  [{ name: "f-dpo", beta: 0.3, divergence: "forward-kl" }, (w, l) => logistic(0.3 * (exp(-l.sum) - exp(-w.sum)))],
  [
    { name: "f-dpo", beta: 0.3, divergence: "jensen-shannon" },
    // f'(u) = log(2u / (1 + u))
    (w, l) => logistic(0.3 * (log((2 * exp(w.sum)) / (1 + exp(w.sum))) - log((2 * exp(l.sum)) / (1 + exp(l.sum))))),
  ],
  [
    { name: "f-dpo", beta: 0.3, divergence: "alpha", alpha: 0.7 },
    (w, l) => logistic((0.3 * (exp(w.sum) ** -0.3 - exp(l.sum) ** -0.3)) / -0.3),
  ],
  [{ name: "f-dpo", beta: 0.3, divergence: "alpha", alpha: 1 }, (w, l) => logistic(0.3 * (w.sum - l.sum))],
  [
    { name: "discopop", beta: 0.3, tau: 0.2 },
    (w, l) => {
      const u = 0.3 * (w.sum - l.sum);
      return (1 - sigmoid(u / 0.2)) * logistic(u) + sigmoid(u / 0.2) * exp(-u);
    },
  ],
  [{ name: "slic", delta: 2 }, (w, l) => max(0, 2 - w.logp + l.logp)],
  [{ name: "simpo", beta: 2, gamma: 0.4 }, (w, l) => logistic(2 * (mean(w) - mean(l)) - 0.4)],
  [
    { name: "simpo", beta: 2, gamma: 0.4, labelSmoothing: 0.1 },
    (w, l) => {
      const u = 2 * (mean(w) - mean(l)) - 0.4;
      return 0.9 * logistic(u) + 0.1 * logistic(-u);
    },
  ],
  [{ name: "alphapo", beta: 2, gamma: 0.4, alpha: 0.3 }, (w, l) => logistic(2 * (power(0.3)(w) - power(0.3)(l)) - 0.4)],
  [{ name: "alphapo", beta: 2, gamma: 0.4, alpha: 0 }, (w, l) => logistic(2 * (mean(w) - mean(l)) - 0.4)],
  [{ name: "simper" }, (w, l) => -exp(mean(w)) + exp(mean(l))],
  [
    { name: "cpo", beta: 0.3, alpha: 0.5, mean: "sequences" },
    (w, l) => logistic(0.3 * (w.logp - l.logp)) - 0.5 * w.logp,
  ],
  [
    { name: "cpo", beta: 0.3, alpha: 0.5, mean: "sequences", loss: "hinge", labelSmoothing: 0.1 },
    (w, l) => {
      const u = 0.3 * (w.logp - l.logp);
      return 0.9 * max(0, 1 - u) + 0.1 * max(0, 1 + u) - 0.5 * w.logp;
    },
  ],
  [{ name: "orpo", lambda: 0.5 }, (w, l) => -mean(w) + 0.5 * logistic(logOdds(w) - logOdds(l))],
  [{ name: "rpo", beta: 0.3, alpha: 0.5 }, (w, l) => logistic(0.3 * (w.sum - l.sum)) - 0.5 * mean(w)],
  [
    { name: "mpo", beta: 0.3, preference: 0.7, quality: 0.4, generation: 0.5, shift: "none" },
    (w, l) =>
      0.7 * logistic(0.3 * (w.sum - l.sum)) + 0.4 * (logistic(0.3 * w.sum) + logistic(-0.3 * l.sum)) - 0.5 * mean(w),
  ],
];

/** Rewards of those that do not log β Σρ. */
const rewards: Readonly<Record<string, (answer: Numbers) => number>> = {
  slic: ({ logp }) => logp,
  simpo: (answer) => 2 * mean(answer),
  simper: (answer) => exp(mean(answer)),
  cpo: ({ logp }) => 0.3 * logp,
  orpo: (answer) => 0.5 * mean(answer),
};

const total = (vector: Float64Array) => vector.reduce((sum, value) => sum + value, 0);

function numbersOf({ policyLogp, referenceLogp }: ResponseVectors): Numbers {
  const logp = total(policyLogp!);
  return { logp, sum: logp - total(referenceLogp!), length: policyLogp!.length };
}

function randomPairs(): ResponseVectors[][] {
  const random = Random.from(1, "pair losses");
  const logps = (length: number) => Float64Array.from({ length }, () => -2 * random.next() - 0.05);
  const answer = (length: number) => ({ policyLogp: logps(length), referenceLogp: logps(length) });
  return [
    [1, 1],
    [3, 2],
    [2, 7],
    [6, 1],
    [4, 4],
  ].map(([m, n]) => [answer(m!), answer(n!)]);
}

describe.each(cases)("%o", (options, plain) => {
  const evaluator = new ObjectiveEvaluator(createObjective(options), ["policyLogp", "referenceLogp"]);

  test("loss and rewards are those of the plain formula", () => {
    const pairs = randomPairs();
    const outcomes = evaluator.evaluate(pairs);
    for (const [index, [w, l]] of pairs.map((pair) => pair.map(numbersOf)).entries()) {
      const expected = plain(w!, l!);
      expect(Math.abs(outcomes[index]!.loss - expected) / max(1, Math.abs(expected))).toBeLessThan(1e-12);
      const { beta } = options as { beta?: number };
      const reward = options.name === "alphapo" ? undefined : (rewards[options.name] ?? (({ sum }) => beta! * sum));
      if (reward)
        expect(outcomes[index]!.rewards).toEqual([reward(w!), reward(l!)].map((value) => expect.closeTo(value, 12)));
    }
  });
});

test("alphapo logs its own rewards", () => {
  const [pair] = randomPairs();
  const { rewards } = new ObjectiveEvaluator(createObjective({ name: "alphapo", beta: 2, alpha: 0.3 }), [
    "policyLogp",
  ]).evaluate([pair!])[0]!;
  expect(rewards).toEqual(pair!.map((answer) => expect.closeTo(2 * power(0.3)(numbersOf(answer)), 12)));
});

const ln2 = Math.LN2;
const atReference: readonly (readonly [ObjectiveOptions, number])[] = [
  [{ name: "dpo" }, ln2],
  [{ name: "dpo", labelSmoothing: 0.2 }, ln2],
  [{ name: "dpo", aggregate: "mean" }, ln2],
  [{ name: "robust-dpo" }, ln2],
  [{ name: "dpop" }, ln2],
  [{ name: "f-dpo", divergence: "forward-kl" }, ln2],
  [{ name: "f-dpo", divergence: "jensen-shannon" }, ln2],
  [{ name: "f-dpo", divergence: "alpha" }, ln2],
  [{ name: "bpo", loss: "logistic" }, ln2],
  [{ name: "aot" }, ln2],
  [{ name: "aot", paired: false }, ln2],
  [{ name: "nca" }, 2 * ln2],
  [{ name: "bco-pair" }, 2 * ln2],
  [{ name: "bco-pair", shift: "none" }, 2 * ln2],
  [{ name: "hinge" }, 1],
  [{ name: "bpo" }, 1],
  [{ name: "apo-zero" }, 1],
  [{ name: "apo-down" }, 1],
  [{ name: "ipo", beta: 0.1 }, 25],
  [{ name: "sppo", beta: 0.1 }, 50],
  [{ name: "cal-dpo", beta: 0.1 }, ln2 + 25],
  [{ name: "discopop" }, ln2 / 2 + 0.5],
  [{ name: "exo" }, -ln2 - log(0.001 * 0.999) / 2],
  // softplus(−α (m − n)) for 3 and 2 tokens.
  [{ name: "r-dpo", alpha: 0.5 }, logistic(0.5)],
];

test.each(atReference)("where policy and reference are equal, the loss of %o is %f", (options, expected) => {
  const answer = (length: number) => {
    const logps = new Float64Array(length).fill(-1.5);
    return { policyLogp: logps, referenceLogp: logps };
  };
  const evaluator = new ObjectiveEvaluator(createObjective(options), ["policyLogp", "referenceLogp"]);
  const { loss, rewards } = evaluator.evaluate([[answer(3), answer(2)]])[0]!;
  expect(loss).toBeCloseTo(expected, 12);
  expect(rewards).toEqual([0, 0]);
});

/**
 * dL/dΔ at Δ = 0 where policy and reference are equal: half of what a chosen and a rejected token
 * get.
 */
test.each([
  [{ name: "dpo", beta: 0.3 }, -0.15],
  [{ name: "hinge", beta: 0.3 }, -0.3],
  [{ name: "ipo", beta: 0.3 }, -1 / 0.3],
  // The wrong way: −¾β + β (1 − log 2) / (4τ).
  [{ name: "discopop", beta: 0.3, tau: 0.05 }, -0.225 + (0.3 * (1 - ln2)) / 0.2],
] as const)("the slope of %o begins at %f", (options, slope) => {
  const one = { policyLogp: Float64Array.of(-1), referenceLogp: Float64Array.of(-1) };
  const { gradients } = new ObjectiveEvaluator(createObjective(options), ["policyLogp", "referenceLogp"]).evaluate([
    [one, one],
  ])[0]!;
  expect(gradients[0]!.policyLogp![0]).toBeCloseTo(slope, 12);
  expect(gradients[1]!.policyLogp![0]).toBeCloseTo(-slope, 12);
});

test("the mean over the chosen answers' tokens is cpo's second term", () => {
  const objective = createObjective({ name: "cpo", beta: 0.3, alpha: 0.5 });
  expect(objective.terms).toEqual([
    { weight: 1, mean: "examples", responses: [0, 1] },
    { weight: 0.5, mean: "tokens", responses: [0] },
  ]);
  const [pair] = randomPairs();
  const [w, l] = pair!.map(numbersOf);
  const { losses } = new ObjectiveEvaluator(objective, ["policyLogp"]).evaluate([pair!])[0]!;
  expect(losses).toEqual([expect.closeTo(logistic(0.3 * (w!.logp - l!.logp)), 12), expect.closeTo(-w!.logp, 12)]);
});
