/**
 * The objectives against what TRL's trainers compute for the same log-probabilities; see
 * golden/trl-losses/make.py.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createObjective, type ObjectiveOptions } from "../src/objectives/index.ts";
import { trlLossTypes } from "../src/objectives/trl.ts";
import { divisorsOf, meansOf } from "../src/step/means.ts";
import { ObjectiveEvaluator, type ResponseVectors } from "../src/step/objective-evaluator.ts";
import { largestError } from "./helpers/compare.ts";

interface Expected {
  loss: number;
  rewards: [chosen: number, rejected: number];
  /** For each pair and side, one for each token. */
  gradients: [number[], number[]][];
}

interface GoldenCase {
  trainer: "DPO" | "CPO" | "ORPO";
  options: {
    beta: number;
    loss_types?: string[];
    loss_type?: string;
    loss_weights?: number[];
    label_smoothing?: number;
    f_divergence_type?: string;
    f_alpha_divergence_coef?: number;
    discopop_tau?: number;
    cpo_alpha?: number;
    simpo_gamma?: number;
    alpha?: number;
  };
  batch: Expected;
  pairs: Expected[];
}

type GoldenPair = Record<`${"policy" | "reference"}_${"chosen" | "rejected"}`, number[]>;

const file = new URL("golden/trl-losses/golden.json", import.meta.url);
const golden = JSON.parse(readFileSync(file, "utf8")) as { pairs: GoldenPair[]; cases: GoldenCase[] };
const tolerance = 1e-6;

const pairs = golden.pairs.map((pair): ResponseVectors[] =>
  (["chosen", "rejected"] as const).map((side) => ({
    policyLogp: Float64Array.from(pair[`policy_${side}`]),
    referenceLogp: Float64Array.from(pair[`reference_${side}`]),
  })),
);

/** The objective that docs/coming-from-trl.md gives for TRL's options. */
function ours({ trainer, options }: GoldenCase): ObjectiveOptions {
  const { beta, loss_types: types = [], loss_weights: weights = [], label_smoothing: labelSmoothing } = options;
  if (trainer === "ORPO") return { name: "orpo", lambda: beta };
  if (trainer === "CPO") {
    const { loss_type: type, cpo_alpha: alpha, simpo_gamma: gamma, alpha: shape } = options;
    const common = { beta, ...(labelSmoothing !== undefined && { labelSmoothing }) };
    if (type === "sigmoid") return { name: "cpo", ...common, alpha };
    if (type === "hinge" || type === "ipo") return { name: "cpo", ...common, alpha, loss: type };
    return shape === undefined
      ? { name: "simpo", ...common, gamma }
      : { name: "alphapo", ...common, gamma, alpha: shape };
  }
  if (types.length === 2) return { name: "rpo", beta, alpha: weights[1] };
  if (types.length === 3)
    return { name: "mpo", beta, preference: weights[0], quality: weights[1], generation: weights[2], shift: "none" };
  const divergences = { forward_kl: "forward-kl", js_divergence: "jensen-shannon", alpha_divergence: "alpha" } as const;
  const { f_divergence_type: divergence, f_alpha_divergence_coef: alpha, discopop_tau: tau } = options;
  if (divergence)
    return {
      ...{ name: "f-dpo", beta, divergence: divergences[divergence as keyof typeof divergences] },
      ...(alpha !== undefined && { alpha }),
    };
  return {
    ...trlLossTypes[types[0]!]!,
    beta,
    ...(labelSmoothing !== undefined && { labelSmoothing }),
    ...(tau !== undefined && { tau }),
  } as ObjectiveOptions;
}

/** The mean over pairs, with its gradients and the means of the rewards. */
function computed(options: ObjectiveOptions, examples: readonly ResponseVectors[][]): Expected {
  const objective = createObjective(options);
  const lengths = examples.map((pair) => ({ responses: pair.map(({ policyLogp }) => policyLogp!) }));
  const { scale, shares } = meansOf(objective, divisorsOf(objective, lengths));
  const evaluator = new ObjectiveEvaluator(objective, ["policyLogp", "referenceLogp"]);
  const { outcomes } = evaluator.evaluateStep(examples, { shares });
  const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    loss: scale * outcomes.reduce((sum, { loss }) => sum + loss, 0),
    rewards: [0, 1].map((side) => meanOf(outcomes.map(({ rewards }) => rewards![side]!))) as [number, number],
    gradients: outcomes.map(
      ({ gradients }) =>
        gradients.map(({ policyLogp }) => [...policyLogp!].map((value) => scale * value)) as [number[], number[]],
    ),
  };
}

function expectSame(actual: Expected, expected: Expected): void {
  expect(largestError([actual.loss], [expected.loss]), "loss").toBeLessThan(tolerance);
  expect(largestError(actual.rewards, expected.rewards), "rewards").toBeLessThan(tolerance);
  expect(largestError(actual.gradients.flat(2), expected.gradients.flat(2)), "gradients").toBeLessThan(tolerance);
}

/**
 * Where a batch of TRL is another mean than a step here: the supervised term is one over the
 * batch's tokens, here one over each answer's.
 */
const otherMeans = ["rpo", "mpo", "orpo"];

describe.each(golden.cases)("$trainer $options", (one) => {
  const options = ours(one);

  test("for one pair, loss, rewards and gradients are TRL's", () => {
    for (const [index, expected] of one.pairs.entries()) expectSame(computed(options, [pairs[index]!]), expected);
  });

  test("for a batch, too, but for the documented means", () => {
    const actual = computed(options, pairs);
    if (!otherMeans.includes(options.name)) return expectSame(actual, one.batch);
    expect(largestError(actual.rewards, one.batch.rewards)).toBeLessThan(tolerance);
    // The difference is that of the two means of the chosen answers' log-probabilities.
    const chosen = pairs.map(([answer]) => [...answer!.policyLogp!]);
    const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const difference = meanOf(chosen.map(meanOf)) - meanOf(chosen.flat());
    const weight = one.trainer === "ORPO" ? 1 : one.options.loss_weights!.at(-1)!;
    expect(actual.loss - one.batch.loss).toBeCloseTo(-weight * difference, 6);
    expect(Math.abs(difference)).toBeGreaterThan(0.01);
  });
});

test("every loss type with a counterpart has a golden case", () => {
  const named = golden.cases.flatMap(({ trainer, options: { loss_types, loss_type, alpha } }) => {
    if (trainer === "ORPO") return "orpo";
    if (trainer === "CPO") return alpha === undefined ? (loss_type === "simpo" ? "simpo" : "cpo") : "alphapo";
    return loss_types!;
  });
  expect(new Set(named)).toEqual(new Set(Object.keys(trlLossTypes)));
});

test("coming-from-trl.md has every loss type and argument of the cases", () => {
  const page = readFileSync(new URL("../docs/coming-from-trl.md", import.meta.url), "utf8");
  const words = [...Object.keys(trlLossTypes).filter((name) => name !== "cpo" && name !== "orpo" && name !== "sft")];
  for (const word of words) expect(page).toContain(word);
  const names = golden.cases.map((one) => ours(one).name);
  for (const name of names) expect(page).toContain(`name: ${name}`);
});
