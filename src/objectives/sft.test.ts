import { expect, test } from "vitest";
import { ObjectiveEvaluator } from "../step/objective-evaluator.ts";
import { createObjective } from "./index.ts";
import { sft } from "./sft.ts";

test("the loss is the sum of the tokens' negative log-probabilities, each with gradient -1", () => {
  const evaluator = new ObjectiveEvaluator(sft({ name: "sft" }), ["policyLogp"]);
  const outcomes = evaluator.evaluate([
    [{ policyLogp: Float64Array.of(-1, -0.5, -2) }],
    [{ policyLogp: Float64Array.of(-4) }],
  ]);
  expect(outcomes).toEqual([
    { loss: 3.5, rewards: undefined, gradients: [{ policyLogp: Float64Array.of(-1, -1, -1) }] },
    { loss: 4, rewards: undefined, gradients: [{ policyLogp: Float64Array.of(-1) }] },
  ]);
});

test("its mean is over tokens unless asked for sequences", () => {
  expect(createObjective({ name: "sft" }).mean).toBe("tokens");
  expect(createObjective({ name: "sft", mean: "tokens" }).mean).toBe("tokens");
  expect(createObjective({ name: "sft", mean: "sequences" }).mean).toBe("examples");
});
