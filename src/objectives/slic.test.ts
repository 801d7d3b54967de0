import { expect, test } from "vitest";
import { ObjectiveEvaluator } from "../step/objective-evaluator.ts";
import { slic } from "./slic.ts";

const evaluate = (delta: number, chosen: number[], rejected: number[]) =>
  new ObjectiveEvaluator(slic.create({ delta }), ["policyLogp"]).evaluate([
    [chosen, rejected].map((logps) => ({ policyLogp: Float64Array.from(logps) })),
  ])[0]!;

test("loss, rewards and gradient by hand", () => {
  // log π(y_w) - log π(y_l) = -3 + 3.5 = 0.5, which is 1.5 short of the margin 2.
  const { loss, rewards, plainRewards, gradients } = evaluate(2, [-1, -2], [-3.5]);
  expect([loss, rewards, plainRewards]).toEqual([1.5, [-3, -3.5], undefined]);
  expect(gradients.map(({ policyLogp }) => [...policyLogp!])).toEqual([[-1, -1], [1]]);
});

test("beyond the margin and at it there is nothing to learn", () => {
  for (const rejected of [-3, -2]) {
    const { loss, gradients } = evaluate(1, [-1], [rejected]);
    expect(loss).toBe(0);
    for (const { policyLogp } of gradients) expect(Math.abs(policyLogp![0]!)).toBe(0);
  }
});

test("the margin is 1 by default, and there is no reference", () => {
  expect(slic.schema.parse({ name: "slic" })).toEqual({ name: "slic", delta: 1 });
  expect(slic.create()).toMatchObject({ reference: "none", responses: 2, scope: "example" });
});
