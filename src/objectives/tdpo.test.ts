import { describe, expect, test } from "vitest";
import { ObjectiveEvaluator, type ResponseVectors } from "../step/objective-evaluator.ts";
import { dpo } from "./dpo.ts";
import type { Objective } from "./objective.ts";
import { tdpo1, tdpo2 } from "./tdpo.ts";

const response = (ratios: number[], divergences: number[]): ResponseVectors => ({
  policyLogp: Float64Array.from(ratios, (ratio) => ratio - 1.5),
  referenceLogp: new Float64Array(ratios.length).fill(-1.5),
  klReferencePolicy: Float64Array.from(divergences),
});
const evaluate = (objective: Objective, chosen: ResponseVectors, rejected: ResponseVectors) =>
  new ObjectiveEvaluator(objective, ["policyLogp", "referenceLogp", "klReferencePolicy"]).evaluate([
    [chosen, rejected],
  ])[0]!;
const ln3 = Math.log(3);
const close = (...values: number[]) => values.map((value) => expect.closeTo(value, 14));

// SeqKL is 0.3 + 0.2 = 0.5 for the chosen answer and 0.1 for the rejected one, so SeqKL(y_l) -
// SeqKL(y_w) = -0.4.
const rejected = response([0.25], [0.1]);
const chosen = (ratio: number) => response([ratio, 0.25], [0.3, 0.2]);

describe("TDPO by hand, with β = 2 and a margin of ln 3 / 2: loss ln 4/3, its derivative for the margin -2/4", () => {
  test("TDPO1", () => {
    // The margin is Σρ_w - Σρ_l + 0.4, and Σρ_w - Σρ_l is the first chosen token's ρ.
    const { loss, rewards, gradients } = evaluate(tdpo1.create({ beta: 2 }), chosen(ln3 / 2 - 0.4), rejected);
    expect(loss).toBeCloseTo(Math.log(4 / 3), 14);
    // β (Σρ + SeqKL)
    expect(rewards).toEqual(close(2 * (ln3 / 2 - 0.4 + 0.25 + 0.5), 2 * (0.25 + 0.1)));
    expect([...gradients[0]!.policyLogp!]).toEqual(close(-0.5, -0.5));
    expect([...gradients[1]!.policyLogp!]).toEqual(close(0.5));
    // The chosen KL raises the margin, the rejected KL lowers it.
    expect([...gradients[0]!.klReferencePolicy!]).toEqual(close(-0.5, -0.5));
    expect([...gradients[1]!.klReferencePolicy!]).toEqual(close(0.5));
  });

  test("TDPO2 weighs the divergences with α and stops the chosen one's gradient", () => {
    // α = 1/4: the margin is Σρ_w - Σρ_l + 0.1.
    const objective = tdpo2.create({ beta: 2, alpha: 0.25 });
    const { loss, rewards, gradients } = evaluate(objective, chosen(ln3 / 2 - 0.1), rejected);
    expect(loss).toBeCloseTo(Math.log(4 / 3), 14);
    expect(rewards).toEqual(close(2 * (ln3 / 2 - 0.1 + 0.25 + 0.5), 2 * (0.25 + 0.1)));
    expect([...gradients[0]!.policyLogp!]).toEqual(close(-0.5, -0.5));
    expect([...gradients[1]!.policyLogp!]).toEqual(close(0.5));
    expect(gradients[0]).not.toHaveProperty("klReferencePolicy");
    expect([...gradients[1]!.klReferencePolicy!]).toEqual(close(0.5 * 0.25));
    // Its value counts nevertheless.
    const other = evaluate(objective, response([ln3 / 2 - 0.1, 0.25], [0.7, 0.2]), rejected);
    expect(other.loss).toBeCloseTo(Math.log1p(Math.exp(-ln3 - 2 * 0.25 * 0.4)), 14);
  });
});

test("TDPO2 with α = 0, and both without divergence, are DPO", () => {
  const plain = evaluate(dpo.create({ beta: 0.7 }), chosen(0.4), rejected);
  const alphaZero = evaluate(tdpo2.create({ beta: 0.7, alpha: 0 }), chosen(0.4), rejected);
  expect(alphaZero.loss).toBeCloseTo(plain.loss, 15);
  const still = [response([0.4, 0.25], [0, 0]), response([0.25], [0])] as const;
  for (const objective of [tdpo1.create({ beta: 0.7 }), tdpo2.create({ beta: 0.7, alpha: 0.5 })]) {
    const outcome = evaluate(objective, ...still);
    expect(outcome.loss).toBeCloseTo(plain.loss, 15);
    expect(outcome.rewards).toEqual(plain.rewards);
    expect(outcome.gradients.map(({ policyLogp }) => policyLogp)).toEqual(
      plain.gradients.map(({ policyLogp }) => policyLogp),
    );
  }
});

test("identical answers: loss log 2, no margin, gradients that cancel but for the stopped one", () => {
  const one = evaluate(tdpo1.create({ beta: 0.4 }), chosen(0.3), chosen(0.3));
  const two = evaluate(tdpo2.create({ beta: 0.4, alpha: 0.5 }), chosen(0.3), chosen(0.3));
  for (const { loss, rewards, gradients } of [one, two]) {
    expect(loss).toBeCloseTo(Math.log(2), 15);
    expect(rewards![0]).toBe(rewards![1]);
    expect([...gradients[0]!.policyLogp!]).toEqual([...gradients[1]!.policyLogp!].map((value) => -value));
  }
  expect([...one.gradients[0]!.klReferencePolicy!]).toEqual(close(-0.2, -0.2));
  expect([...one.gradients[1]!.klReferencePolicy!]).toEqual(close(0.2, 0.2));
  expect([...two.gradients[1]!.klReferencePolicy!]).toEqual(close(0.1, 0.1));
});
