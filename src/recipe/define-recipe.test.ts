import { expect, test } from "vitest";
import { defineRecipe } from "./parse.ts";
import type { RecipeInput } from "./recipe-input.ts";

const settings: RecipeInput = {
  model: "a",
  output: "b",
  data: { train: "c.jsonl" },
  objective: { name: "tdpo2" },
  learningRate: 1e-5,
  steps: 3,
};

test("an object becomes a whole recipe, and a recipe stays what it is", () => {
  const recipe = defineRecipe(settings);
  expect(recipe).toMatchObject({ ...settings, objective: { name: "tdpo2", beta: 0.1, alpha: 0.5 }, batchSize: 64 });
  expect(defineRecipe(recipe)).toBe(recipe);
});

test.each([
  [{ batchSize: 0 }, "batchSize: must be greater than 0, found 0"],
  [{ learningrate: 1 }, "learningrate: unknown key; did you mean `learningRate`?"],
  [{ objective: { name: "dpo", betta: 1 } }, "objective.betta: unknown key; did you mean `beta`?"],
  [{ objective: { name: "ppo" } }, "objective.name: must be one of"],
  [{ epochs: 1 }, "steps"],
])("%o is refused by the name of the key", (change, message) => {
  expect(() => defineRecipe({ ...settings, ...change } as RecipeInput)).toThrow(message);
});
