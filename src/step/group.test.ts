import { describe, expect, test } from "vitest";
import { largestError, worstGradient } from "../../test/helpers/compare.ts";
import { againstMean, chancy, givenMargin, mixed, shifted, sorted } from "../../test/helpers/objectives.ts";
import { example, pairObjectives, randomExamples, tinyConfiguration, tinyModel } from "../../test/helpers/tiny.ts";
import type { TokenizedExample } from "../data/example.ts";
import type { FloatArray } from "../engine/engine.ts";
import { float64Engine } from "../engine/float64.ts";
import { createObjective } from "../objectives/index.ts";
import type { Objective } from "../objectives/objective.ts";
import { alone, type Group, gather } from "./group.ts";
import { Optimizer } from "./optimizer.ts";
import { Trainer } from "./trainer.ts";

/** Ranks in one process: a sum is there when all have asked for it. */
function inProcess(size: number): Group[] {
  let asked: { arrays: readonly FloatArray[]; done: () => void }[] = [];
  const sumUp = () => {
    const all = asked;
    asked = [];
    expect(new Set(all.map(({ arrays }) => String(arrays.map(({ length }) => length)))).size).toBe(1);
    for (const [index, first] of all[0]!.arrays.entries()) {
      const sums = first.map((_, element) => all.reduce((sum, { arrays }) => sum + arrays[index]![element]!, 0));
      for (const { arrays } of all) arrays[index]!.set(sums);
    }
    for (const { done } of all) done();
  };
  return Array.from({ length: size }, (_, rank) => ({
    rank,
    size,
    sum: (arrays) =>
      new Promise((done) => {
        asked[rank] = { arrays, done };
        if (Object.keys(asked).length === size) sumUp();
      }),
  }));
}

const pairs = randomExamples(
  4,
  Array.from({ length: 7 }, (_, index) => [2 + (index % 3), 2 + ((2 * index) % 5), 1 + ((3 * index) % 7)] as const),
).map((pair, index) => ({ ...pair, given: { margin: [Float64Array.of(index / 4)] } }));
const texts = pairs.map(({ prompt, responses }) => example([...prompt], [...responses[0]!]));

/** Two steps of a rank, which takes the examples from `start` to `end`. */
async function trained(objective: Objective, examples: readonly TokenizedExample[], group: Group) {
  const engine = float64Engine();
  const policy = tinyModel(engine, tinyConfiguration(), 1);
  const trainer = new Trainer({
    ...{ engine, policy, objective, group, totalSteps: 4, maxGradientNorm: 0.5, microbatch: { tokens: 40 } },
    reference: objective.reference === "none" ? undefined : tinyModel(engine, tinyConfiguration(), 2, policy),
    optimizer: new Optimizer(engine, { name: "adamw" }, policy.trainable),
    schedule: { learningRate: 0.01 },
  });
  const steps = [];
  for (let step = 0; step < 2; step++) {
    const { loss, gradientNorm, examples: own } = (await trainer.step(examples))!;
    steps.push({ figures: [loss, gradientNorm, ...Object.values(trainer.objectiveState)], own });
  }
  return { steps, parameters: policy.trainable };
}

describe("ranks with shares of each step train as one rank does", () => {
  const objectives: [string, Objective, readonly TokenizedExample[]][] = [
    ["pairs", createObjective(pairObjectives[5]), pairs],
    ["a mean over tokens", createObjective({ name: "sft" }), texts],
    ["several terms", mixed.create(), pairs],
    ["numbers drawn by chance", chancy.create({}), pairs],
    ["constants of examples", givenMargin.create({}), pairs],
    ["a loss over the step", againstMean.create({}), pairs],
    ["ranks within the step", sorted.create({}), pairs],
    ["a state", shifted.create({}), pairs],
  ];

  test.each(objectives)("%s", async (_, objective, examples) => {
    const whole = await trained(objective, examples, alone);
    for (const cuts of [
      [0, 5, 7],
      [0, 1, 1, 7],
      [0, 0, 7],
    ]) {
      const groups = inProcess(cuts.length - 1);
      const ranks = await Promise.all(
        groups.map((group, rank) => trained(objective, examples.slice(cuts[rank], cuts[rank + 1]), group)),
      );
      for (const { steps, parameters } of ranks) {
        for (const [step, { figures }] of steps.entries())
          expect(largestError(figures, whole.steps[step]!.figures)).toBeLessThan(1e-12);
        expect(worstGradient(parameters, whole.parameters).error).toBeLessThan(1e-9);
        // Not to rounding but to the bit: ranks that part would never meet again.
        expect([...parameters].map(([, { data }]) => data)).toEqual(
          [...ranks[0]!.parameters].map(([, { data }]) => data),
        );
      }
      for (const [step, { own }] of whole.steps.entries()) {
        const losses = ranks.flatMap(({ steps }) => steps[step]!.own.map(({ outcome }) => outcome.loss));
        expect(losses.length).toBe(examples.length);
        const expected = own.map(({ outcome }) => outcome.loss);
        expect(largestError(losses, expected)).toBeLessThan(1e-12);
      }
    }
  });
});

test("numbers are gathered in the order of ranks", async () => {
  const own = [[1, 2], [], [3]].map((numbers) => Float64Array.from(numbers));
  const found = await Promise.all(inProcess(3).map((group, rank) => gather(group, own[rank]!)));
  expect(found).toEqual([own, own, own]);
  expect(await gather(alone, own[0]!)).toEqual([own[0]]);
});
