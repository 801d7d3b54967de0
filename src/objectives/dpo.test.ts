import { describe, expect, test } from "vitest";
import { ObjectiveEvaluator, type ResponseVectors } from "../step/objective-evaluator.ts";
import { dpo } from "./dpo.ts";

const vectors = (policyLogp: number[], referenceLogp: number[]): ResponseVectors => ({
  policyLogp: Float64Array.from(policyLogp),
  referenceLogp: Float64Array.from(referenceLogp),
});
const evaluate = (options: Parameters<typeof dpo.create>[0], ...responses: ResponseVectors[]) =>
  new ObjectiveEvaluator(dpo.create(options), ["policyLogp", "referenceLogp"]).evaluate([responses])[0]!;
const ln3 = Math.log(3);

// ρ is (0.5 + ln 3, 0.25) for the chosen answer's two tokens and -0.25 for the rejected answer's
// one.
const chosen = vectors([-1, -2], [-1.5 - ln3, -2.25]);
const rejected = vectors([-0.5], [-0.25]);

describe("DPO by hand", () => {
  test("loss, rewards and gradient", () => {
    // Σρ is ln 3 + 0.25 and 0.25 - ln 3, so u = ln 3 for β = 1/2, σ(u) = 3/4, the loss ln 4/3, and
    // its derivative -(1 - σ(u)) = -1/4.
    const { loss, rewards, gradients } = evaluate(
      { beta: 0.5 },
      vectors([-1, -2], [-1 - ln3, -2.25]),
      vectors([-3], [-3.25 + ln3]),
    );
    expect(loss).toBeCloseTo(Math.log(4 / 3), 14);
    expect(rewards![0]).toBeCloseTo((ln3 + 0.25) / 2, 14);
    expect(rewards![1]).toBeCloseTo((0.25 - ln3) / 2, 14);
    // Every token's log-probability enters u with β or -β.
    expect([...gradients[0]!.policyLogp!]).toEqual([expect.closeTo(-1 / 8, 14), expect.closeTo(-1 / 8, 14)]);
    expect([...gradients[1]!.policyLogp!]).toEqual([expect.closeTo(1 / 8, 14)]);
  });

  test("label smoothing mixes in the loss of the swapped pair", () => {
    // u = ln 3 again: (1 - ε) ln 4/3 + ε ln 4, whose derivative for u is -(1 - ε) / 4 + ε 3/4 = ε -
    // 1/4.
    const pair = [vectors([-1], [-1 - ln3]), vectors([-2], [-2])] as const;
    for (const labelSmoothing of [0, 0.1, 0.25, 0.5]) {
      const { loss, gradients } = evaluate({ beta: 1, labelSmoothing }, ...pair);
      expect(loss).toBeCloseTo((1 - labelSmoothing) * Math.log(4 / 3) + labelSmoothing * Math.log(4), 14);
      expect(gradients[0]!.policyLogp![0]).toBeCloseTo(labelSmoothing - 0.25, 14);
      expect(gradients[1]!.policyLogp![0]).toBeCloseTo(0.25 - labelSmoothing, 14);
    }
    expect(evaluate({ beta: 1, labelSmoothing: 0 }, ...pair)).toEqual(evaluate({ beta: 1 }, ...pair));
    // With ε = 1/2 neither answer is preferred: the loss is even in u and smallest, log 2, at u =
    // 0.
    const even = (u: number) => evaluate({ beta: 1, labelSmoothing: 0.5 }, vectors([u], [0]), vectors([0], [0]));
    expect(even(2).loss).toBeCloseTo(even(-2).loss, 14);
    expect(even(0).loss).toBeCloseTo(Math.log(2), 14);
    expect(even(0).gradients[0]!.policyLogp![0]).toBeCloseTo(0, 14);
  });

  test("without the reference in the loss, it stays in the rewards", () => {
    // β = 1/2: u = (-3 + 0.5) / 2 = -5/4 from the policy alone; rewards β Σρ = (0.75 + ln 3) / 2
    // and -1/8.
    const { loss, rewards, gradients } = evaluate({ beta: 0.5, referenceFree: true }, chosen, rejected);
    const sigma = 1 / (1 + Math.exp(1.25));
    expect(loss).toBeCloseTo(-Math.log(sigma), 14);
    expect(rewards).toEqual([expect.closeTo((0.75 + ln3) / 2, 14), expect.closeTo(-1 / 8, 14)]);
    expect(gradients[0]!.policyLogp![0]).toBeCloseTo(-0.5 * (1 - sigma), 14);
    const elsewhere = evaluate({ beta: 0.5, referenceFree: true }, vectors([-1, -2], [-9, -9]), rejected);
    expect([elsewhere.loss, elsewhere.gradients]).toEqual([loss, gradients]);
    expect(elsewhere.rewards![0]).toBeCloseTo(7.5, 14);
  });
});

test("identical answers: loss log 2, no margin, gradients that cancel", () => {
  const { loss, rewards, gradients } = evaluate({ beta: 0.3 }, chosen, chosen);
  expect(loss).toBeCloseTo(Math.log(2), 15);
  expect(rewards![0]).toBe(rewards![1]);
  expect([...gradients[0]!.policyLogp!]).toEqual([...gradients[1]!.policyLogp!].map((value) => -value));
  expect(gradients[1]!.policyLogp![0]).toBeCloseTo(0.15, 15);
});
