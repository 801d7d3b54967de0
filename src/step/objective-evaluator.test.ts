/** What the evaluator does for objectives that look beyond their own example. */
import { describe, expect, test } from "vitest";
import {
  againstMean,
  chancy,
  everything,
  givenMargin,
  mixed,
  shifted,
  sorted,
  variance,
} from "../../test/helpers/objectives.ts";
import type { Objective } from "../objectives/objective.ts";
import { type StatisticName, vocabularyStatistics } from "../objectives/statistics.ts";
import { Random } from "../random.ts";
import { ObjectiveEvaluator, type ResponseVectors } from "./objective-evaluator.ts";

const names: readonly StatisticName[] = ["policyLogp", "referenceLogp", ...vocabularyStatistics];

function randomResponse(random: Random, length: number): ResponseVectors {
  const draw = (next: () => number) => Float64Array.from({ length }, next);
  const logps = ["policyLogp", "referenceLogp"].map((name) => [name, draw(() => -2 + random.normal())]);
  const others = [...vocabularyStatistics, "random"].map((name) => [name, draw(() => random.next())]);
  return { ...Object.fromEntries([...logps, ...others]), margin: Float64Array.of(random.next()) };
}

function randomPairs(seed: number): ResponseVectors[][] {
  const random = Random.from(seed);
  const lengths = [
    [3, 1],
    [2, 4],
    [1, 1],
    [5, 2],
  ];
  return lengths.map((pair) => pair.map((length) => randomResponse(random, length)));
}

const objectives: Objective[] = [
  ...[againstMean, variance, sorted, shifted, chancy, everything, givenMargin].map((definition) =>
    definition.create({}),
  ),
  mixed.create(),
];

/** Statistics whose gradient is stopped, at least in part; the cases by hand below hold theirs. */
function isStopped({ name: objective, statistics }: Objective, name: StatisticName): boolean {
  if (name === "policyLogp") return ["against-mean", "shifted", "everything"].includes(objective);
  return name === "referenceLogp" || statistics[name] === "constant";
}

describe.each(objectives)("$name", (objective) => {
  const evaluator = new ObjectiveEvaluator(objective, names);

  test("gradients of the step's loss equal finite differences", () => {
    const examples = randomPairs(1);
    const settings = { state: { shift: 0.3 } };
    const { outcomes } = evaluator.evaluateStep(examples, settings);
    const step = 1e-5;
    for (const [example, responses] of examples.entries())
      for (const [side, response] of responses.entries())
        for (const name of names.filter((name) => !isStopped(objective, name))) {
          response[name]!.forEach((value, index) => {
            const lossAt = (moved: number) => {
              response[name]![index] = moved;
              return evaluator.evaluateStep(examples, settings).outcomes.reduce((sum, { loss }) => sum + loss, 0);
            };
            const difference = (lossAt(value + step) - lossAt(value - step)) / (2 * step);
            response[name]![index] = value;
            const gradient = outcomes[example]!.gradients[side]![name]?.[index] ?? 0;
            expect(Math.abs(gradient - difference), `${name} of ${example}.${side}`).toBeLessThan(1e-7);
          });
        }
  });

  test("the outcomes stay with their examples in any order", () => {
    const examples = randomPairs(2);
    const inOrder = evaluator.evaluate(examples).map(({ loss }) => loss);
    const reversed = evaluator
      .evaluate(examples.toReversed())
      .map(({ loss }) => loss)
      .toReversed();
    // Sorting pairs the answers of different examples, so only the sum is the same.
    const compare =
      objective.name === "sorted" ? (losses: number[]) => losses.toSorted() : (losses: number[]) => losses;
    compare(reversed).forEach((loss, index) => {
      expect(loss).toBeCloseTo(compare(inOrder)[index]!, 12);
    });
  });
});

const sum = (vector: Float64Array) => vector.reduce((all, value) => all + value, 0);
const ratioOf = ({ policyLogp, referenceLogp }: ResponseVectors) => sum(policyLogp!) - sum(referenceLogp!);
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

test("an example against the step's mean, by hand", () => {
  const examples = randomPairs(3);
  const ratios = examples.map((pair) => pair.map(ratioOf));
  const z = Math.max(0, ratios.reduce((all, [w, l]) => all + w! + l!, 0) / examples.length);
  const outcomes = new ObjectiveEvaluator(againstMean.create({ beta: 0.5 }), names).evaluate(examples);
  outcomes.forEach(({ loss, gradients }, index) => {
    const [gain, against] = [0.5 * (ratios[index]![0]! - z), 0.5 * (z - ratios[index]![1]!)];
    expect(loss).toBeCloseTo(-Math.log(sigmoid(gain)) - Math.log(sigmoid(against)), 12);
    expect(gradients[0]!.policyLogp![0]).toBeCloseTo(-0.5 * (1 - sigmoid(gain)), 12);
    expect(gradients[1]!.policyLogp![0]).toBeCloseTo(0.5 * (1 - sigmoid(against)), 12);
  });
});

test("sorted sides are paired by their rank", () => {
  const examples = randomPairs(4);
  const [chosen, rejected] = [0, 1].map((side) =>
    examples.map((pair) => ratioOf(pair[side]!)).toSorted((a, b) => a - b),
  );
  const expected = chosen!.map((ratio, rank) => -Math.log(sigmoid(0.2 * (ratio - rejected![rank]!))));
  const outcomes = new ObjectiveEvaluator(sorted.create(), names).evaluate(examples);
  outcomes.forEach(({ loss }, rank) => {
    expect(loss).toBeCloseTo(expected[rank]!, 12);
  });
});

describe("state", () => {
  const examples = randomPairs(5);
  const margins = examples.map(([chosen, rejected]) => ratioOf(chosen!) - ratioOf(rejected!));
  const evaluator = new ObjectiveEvaluator(shifted.create({ beta: 1 }), names);
  const lossWith = (shift: number) => -Math.log(sigmoid(margins[0]! - shift));

  test("is updated with the step before the loss sees it, and carries no gradient", () => {
    const after = 0.9 * 2 + (0.1 * margins.reduce((a, b) => a + b)) / margins.length;
    const { outcomes, state } = evaluator.evaluateStep(examples, { state: { shift: 2 } });
    expect(state.shift).toBeCloseTo(after, 12);
    expect(outcomes[0]!.loss).toBeCloseTo(lossWith(after), 12);
    const slope = -(1 - sigmoid(margins[0]! - after));
    for (const gradient of outcomes[0]!.gradients[0]!.policyLogp!) expect(gradient).toBeCloseTo(slope, 12);
  });

  test("stays as it is in evaluation, from the initial one on", () => {
    expect(evaluator.evaluate(examples)[0]!.loss).toBeCloseTo(lossWith(0.5), 12);
    expect(evaluator.evaluate(examples, { state: { shift: 2 } })[0]!.loss).toBeCloseTo(lossWith(2), 12);
  });
});

test("each term of a mixture counts by its share", () => {
  const examples = randomPairs(6);
  const evaluator = new ObjectiveEvaluator(mixed.create({ beta: 0.3 }), names);
  const [first] = evaluator.evaluate(examples);
  const imitation = -sum(examples[0]![0]!.policyLogp!);
  expect(first!.losses[1]).toBeCloseTo(imitation, 12);
  expect(first!.loss).toBeCloseTo(first!.losses[0]! + 0.5 * imitation, 12);
  const [shared] = evaluator.evaluate(examples, { shares: [1, 0.01] });
  expect(shared!.loss).toBeCloseTo(first!.losses[0]! + 0.01 * imitation, 12);
  const slope = (shares: number[]) => evaluator.evaluate(examples, { shares })[0]!.gradients[0]!.policyLogp![0]!;
  expect(slope([1, 0.01])).toBeCloseTo(slope([1, 0]) - 0.01, 12);
  expect(first!.rewards![0]).toBeCloseTo(0.3 * ratioOf(examples[0]![0]!), 12);
});

test("a constant that is missing is named", () => {
  const [[chosen, rejected]] = randomPairs(7) as [[ResponseVectors, ResponseVectors]];
  const { margin: _, ...bare } = chosen;
  const evaluator = new ObjectiveEvaluator(givenMargin.create(), names);
  expect(() => evaluator.evaluate([[bare, rejected]])).toThrow("a response has no margin");
});

test("a statistic that was not declared is named when the objective is built", () => {
  expect(() => new ObjectiveEvaluator(everything.create(), ["policyLogp", "referenceLogp"])).toThrow(
    "is used, but not declared among the objective's statistics",
  );
});
