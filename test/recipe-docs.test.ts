/**
 * The pages name every objective; docs/recipes.md and the type of a recipe follow from the schema.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { z } from "zod";
import { generated } from "../scripts/recipe-reference.ts";
import { objectives } from "../src/objectives/index.ts";
import type { RecipeInput } from "../src/recipe/recipe-input.ts";
import { keysWithRole, recipeSchema } from "../src/recipe/schema.ts";

const page = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), "utf8");

test.each(objectives)("README.md has a row for $name", ({ name }) => {
  expect(page("README.md")).toMatch(new RegExp(`^\\| \`${name}\` +\\|`, "m"));
});

test.each(generated())("$path is what the schema says", ({ path, text }) => {
  // `npx tsx scripts/recipe-reference.ts` renews it.
  expect(readFileSync(path, "utf8")).toBe(text);
});

test("the type of a recipe takes what the schema takes", () => {
  // The compiler tests this. The input of `weights.transform` is unknown to it, since names may be
  // left out there.
  type Given = Omit<z.input<typeof recipeSchema>, "weights">;
  const accepted = (given: Given): Omit<RecipeInput, "weights"> => given;
  const recipe: Given = { output: "run", data: { train: "pairs.jsonl" }, objective: { name: "dpo" }, learningRate: 1 };
  expect(recipeSchema.parse(accepted(recipe))).toMatchObject(recipe);
});

test("every key of a recipe has a role and a description", () => {
  expect(keysWithRole("result", "length", "source", "machine").sort()).toEqual(Object.keys(recipeSchema.shape).sort());
  const descriptions = Object.values(recipeSchema.shape).map((schema) => schema.description);
  expect(descriptions.every((text) => text && text.length > 5)).toBe(true);
});
