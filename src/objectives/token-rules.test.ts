import { expect, test } from "vitest";
import { clamp, less, where } from "../graph/ops/comparison.ts";
import { exp, multiply, scale, subtract } from "../graph/ops/elementwise.ts";
import { expandLike, sum } from "../graph/ops/reduce.ts";
import { reshape } from "../graph/ops/shape.ts";
import { ObjectiveEvaluator, type ResponseVectors } from "../step/objective-evaluator.ts";
import { logProbability, logRatio, shorterLength, tokenMean } from "./answer.ts";
import { pairObjective } from "./define.ts";
import { dpo } from "./dpo.ts";
import { negativeLogSigmoid } from "./losses.ts";
import { slic } from "./slic.ts";
import { type TokenRule, weigh, withImportanceWeights, withTokenRule } from "./token-rules.ts";

/** Rules of the kinds that the field knows; each in the lines that a file of its own would have. */
const decay: TokenRule = {
  name: "decay",
  apply: (answer) => weigh(answer, multiply(exp(scale(answer.position, Math.log(0.5))), answer.mask)),
};
const tail: TokenRule = {
  name: "tail",
  apply: (answer, other) => {
    const common = reshape(shorterLength(answer, other!), ["examples", 1]);
    const behind = less(common, answer.position);
    return weigh(answer, where(behind, scale(answer.mask, 0.25), answer.mask));
  },
};
const clamped: TokenRule = {
  name: "clamped",
  apply: (answer) => ({ ...answer, ratio: clamp(answer.ratio, -1, 1.5) }),
};
const confident: TokenRule = {
  name: "confident",
  apply: (answer) => {
    const probability = multiply(exp(answer.policyLogp), answer.mask);
    const mean = reshape(tokenMean(answer, probability), ["examples", 1]);
    const kept = multiply(less(probability, expandLike(mean, probability)), answer.mask);
    return { ...weigh(answer, kept), count: sum(kept, [1]) };
  },
};

const mean = pairObjective({
  name: "mean",
  summary: "",
  options: {},
  needs: { reference: "none" },
  loss: (_, chosen, rejected) => subtract(logProbability(rejected, "mean"), logProbability(chosen, "mean")),
  reward: (_, answer) => logRatio(answer, "mean"),
});

const chosen: ResponseVectors = {
  policyLogp: Float64Array.of(-1, -2, -0.5, -4),
  referenceLogp: Float64Array.of(-2, -1, -3, -1),
  weight: Float64Array.of(2, 0, 1, -1),
};
const rejected: ResponseVectors = {
  policyLogp: Float64Array.of(-3, -0.25),
  referenceLogp: Float64Array.of(-1, -0.5),
  weight: Float64Array.of(1, 3),
};
// ρ is (1, -1, 2.5, -3) and (-2, 0.25).
const evaluate = (objective: Parameters<typeof withTokenRule>[0]) =>
  new ObjectiveEvaluator(objective, ["policyLogp", "referenceLogp"]).evaluate([[chosen, rejected]])[0]!;
const dpoOf = (rule: TokenRule) => evaluate(withTokenRule(dpo.create({ beta: 1 }), rule));

test("importance weights count in every sum but in the plain rewards", () => {
  const { rewards, plainRewards, gradients } = evaluate(withImportanceWeights(dpo.create({ beta: 1 })));
  expect(rewards).toEqual([2 + 2.5 + 3, -2 + 0.75]);
  expect(plainRewards).toEqual([-0.5, -1.75]);
  const slope = gradients[0]!.policyLogp![0]! / 2;
  gradients[0]!.policyLogp!.forEach((gradient, t) => {
    expect(gradient).toBeCloseTo(slope * chosen.weight![t]!, 14);
  });
});

test("weights by position: 1/2 for the first token, 1/4 for the second", () => {
  expect(dpoOf(decay).rewards).toEqual([
    expect.closeTo(0.5 - 0.25 + 2.5 / 8 - 3 / 16, 14),
    expect.closeTo(-1 + 0.25 / 4, 14),
  ]);
});

test("weights by the other answer's length", () => {
  expect(dpoOf(tail).rewards).toEqual([1 - 1 + 0.25 * (2.5 - 3), -1.75]);
});

test("clamped log-ratios have no gradient outside", () => {
  const { rewards, gradients } = dpoOf(clamped);
  expect(rewards).toEqual([1 - 1 + 1.5 - 1, -1 + 0.25]);
  const flows = gradients.map(({ policyLogp }) => [...policyLogp!].map((gradient) => gradient !== 0));
  // ρ = -1 stands at the bound, where the gradient still passes.
  expect(flows).toEqual([
    [true, true, false, false],
    [false, true],
  ]);
});

test("a selection divides by what it keeps", () => {
  const { loss } = evaluate(withTokenRule(mean.create(), confident));
  // Kept are the tokens less likely than the answer's mean probability, 0.282 and 0.414.
  expect(loss).toBeCloseTo(-3 - (-2 - 4) / 2, 14);
});

test("rules follow one another, and go with any loss", () => {
  const both = withTokenRule(withImportanceWeights(slic.create({ delta: 10 })), decay);
  // Σ w γ^t log π: 2·(-1)/2 + 0 + (-0.5)/8 + 4/16 and -3/2 + 3·(-0.25)/4
  const [w, l] = [-1 - 0.0625 + 0.25, -1.5 - 0.1875];
  expect(evaluate(both).loss).toBeCloseTo(10 - w + l, 14);
});

test("what a rule needs is added to the objective's needs", () => {
  const rule: TokenRule = {
    name: "needy",
    statistics: { entropy: "constant", klReferencePolicy: "constant" },
    given: { oracle: "token" },
    random: true,
    apply: (answer) => weigh(answer, answer.given.oracle!),
  };
  const base = pairObjective({
    name: "base",
    summary: "",
    options: {},
    needs: { statistics: { klReferencePolicy: "gradient" }, given: { margin: "example" } },
    loss: (_, one, other) => negativeLogSigmoid(subtract(logRatio(one), logRatio(other))),
  });
  expect(withTokenRule(base.create(), rule)).toMatchObject({
    statistics: { klReferencePolicy: "gradient", entropy: "constant" },
    given: { margin: "example", oracle: "token" },
    random: true,
  });
});
