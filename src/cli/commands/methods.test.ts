import { expect, test } from "vitest";
import { objectives } from "../../objectives/index.ts";
import { expectOneError, runHere } from "../testing/run-here.ts";

test("the list has every objective with what it is", async () => {
  const { code, out } = await runHere("methods");
  expect(code).toBe(0);
  for (const { name, summary } of objectives) {
    expect(out).toMatch(new RegExp(`^ {2}${name} `, "m"));
    expect(out.replaceAll(/\s+/g, " ")).toContain(summary);
  }
  expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
});

test.each(objectives)("$name: loss, paper, needs, options with their defaults, recipe", async (definition) => {
  const { name, paper, formula, checked, schema } = definition;
  const { code, out } = await runHere("methods", name);
  expect(code).toBe(0);
  const text = out.replaceAll(/\s+/g, " ");
  expect(formula && checked).toBeTruthy();
  for (const part of [`loss: ${formula}`, `checked: ${checked}`, "needs: ", `recipe: objective: { name: ${name}`])
    expect(text).toContain(part);
  if (name !== "sft") expect(text).toContain(`${paper!.by}, https://arxiv.org/abs/${paper!.arXiv}`);
  for (const option of Object.keys(schema.shape).slice(1)) expect(text).toMatch(new RegExp(` ${option} \\(.*default `));
});

test("what an objective needs is told apart", async () => {
  const said = async (name: string) => (await runHere("methods", name)).out.replaceAll(/\s+/g, " ");
  expect(await said("simpo")).toContain("needs: pairs; no reference cost of a step: as dpo, less the pass");
  expect(await said("tdpo2")).toContain("a reference; sums over the vocabulary");
  expect(await said("tis-dpo")).toContain("a weight for each token");
  expect(await said("beta-dpo")).toContain("all pairs of a step at once; chance, from the run's seed");
});

test("a name that is unknown is refused, and one of TRL's is told", async () => {
  expectOneError(await runHere("methods", "ppo"), /name: must be one of sft, dpo, .*, found "ppo"$/m);
  expectOneError(await runHere("methods", "apo_zero"), /TRL's `apo_zero` is `\{ name: apo-zero \}`/);
});
