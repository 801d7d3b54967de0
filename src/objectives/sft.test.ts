import { expect, test } from "vitest";
import { ObjectiveEvaluator } from "../step/objective-evaluator.ts";
import { createObjective } from "./index.ts";
import { sft } from "./sft.ts";

test("the loss is the sum of the tokens' negative log-probabilities, each with gradient -1", () => {
  const evaluator = new ObjectiveEvaluator(sft.create(), ["policyLogp"]);
  const outcomes = evaluator.evaluate([
    [{ policyLogp: Float64Array.of(-1, -0.5, -2) }],
    [{ policyLogp: Float64Array.of(-4) }],
  ]);
  expect(outcomes).toEqual([
    { losses: [3.5], loss: 3.5, gradients: [{ policyLogp: Float64Array.of(-1, -1, -1) }] },
    { losses: [4], loss: 4, gradients: [{ policyLogp: Float64Array.of(-1) }] },
  ]);
});

test("its mean is over tokens unless asked for sequences", () => {
  expect(createObjective({ name: "sft" }).terms[0]!.mean).toBe("tokens");
  expect(createObjective({ name: "sft", mean: "tokens" }).terms[0]!.mean).toBe("tokens");
  expect(createObjective({ name: "sft", mean: "sequences" }).terms[0]!.mean).toBe("examples");
});
