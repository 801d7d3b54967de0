import { expect, test } from "vitest";
import { ObjectiveEvaluator } from "../step/objective-evaluator.ts";
import { ipo } from "./ipo.ts";

const evaluate = (beta: number, chosen: number[], rejected: number[]) =>
  new ObjectiveEvaluator(ipo.create({ beta }), ["policyLogp", "referenceLogp"]).evaluate([
    [chosen, rejected].map((ratios) => ({
      policyLogp: Float64Array.from(ratios, (ratio) => ratio - 2),
      referenceLogp: new Float64Array(ratios.length).fill(-2),
    })),
  ])[0]!;

test("loss, rewards and gradient by hand", () => {
  // β = 1/4 pulls the margin to 2. Here it is 1.5 + 2 - 0.5 = 3, so the loss is (3 - 2)² = 1 and
  // its derivative for the margin 2.
  const { loss, rewards, gradients } = evaluate(0.25, [1.5, 2], [0.5]);
  expect([loss, rewards]).toEqual([1, [0.875, 0.125]]);
  expect(gradients.map(({ policyLogp }) => [...policyLogp!])).toEqual([[2, 2], [-2]]);
});

test("below its target the margin is pushed up, at its target left alone", () => {
  // Margins 0 and 2 with target 2: losses 4 and 0, derivatives 2 (0 - 2) = -4 and 0.
  expect(evaluate(0.25, [1], [1])).toMatchObject({ loss: 4, gradients: [{ policyLogp: Float64Array.of(-4) }, {}] });
  expect(evaluate(0.25, [3], [1])).toMatchObject({ loss: 0, gradients: [{ policyLogp: Float64Array.of(0) }, {}] });
});
