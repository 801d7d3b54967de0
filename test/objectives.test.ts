/** What holds for every objective in the list: gradients, extremes, lengths, weights. */
import { describe, expect, test } from "vitest";
import { createObjective, type ObjectiveOptions, objectiveNamed, objectives } from "../src/objectives/index.ts";
import { type StatisticName, vocabularyStatistics } from "../src/objectives/statistics.ts";
import { withImportanceWeights } from "../src/objectives/token-rules.ts";
import { Random } from "../src/random.ts";
import { ObjectiveEvaluator, type ResponseVectors } from "../src/step/objective-evaluator.ts";
import { everyPairObjective } from "./helpers/tiny.ts";

const names: readonly StatisticName[] = ["policyLogp", "referenceLogp", ...vocabularyStatistics];
const cases: readonly ObjectiveOptions[] = [...everyPairObjective, { name: "sft" }, { name: "sft", mean: "sequences" }];

/**
 * Where a loss has no gradient by design: the response and the statistic whose gradient is stopped.
 */
const stopped: Readonly<Record<string, readonly [side: number, name: StatisticName]>> = {
  tdpo2: [0, "klReferencePolicy"],
};

/** Losses whose value for a pair has stopped gradients in it; their own tests hold them. */
const partlyStopped: readonly string[] = ["beta-dpo"];

/** Losses that level off far from the reference: there some side has no gradient left. */
const levelsOff: Readonly<Record<string, readonly number[]>> = {
  exo: [0, 1],
  "apo-zero": [0, 1],
  "apo-down": [0, 1],
  "f-dpo": [0, 1],
  simper: [0, 1],
  // Their exponents and odds are bounded.
  alphapo: [0],
  orpo: [1],
  // Only the answer that lags behind is moved.
  bpo: [1],
};

function randomResponse(random: Random, length: number): ResponseVectors {
  const draw = (next: () => number) => Float64Array.from({ length }, next);
  const logps = ["policyLogp", "referenceLogp"].map((name) => [name, draw(() => -2 + random.normal())]);
  const others = vocabularyStatistics.map((name) => [name, draw(() => random.next())]);
  return {
    ...Object.fromEntries([...logps, ...others]),
    weight: draw(() => 1 + random.normal()),
    random: draw(() => random.next()),
  };
}

/**
 * A response whose every token has the given log-ratio, as far as log-probabilities allow, and the
 * given statistics.
 */
function uniformResponse(length: number, ratio: number, statistic: number): ResponseVectors {
  const fill = (value: number) => new Float64Array(length).fill(value);
  return {
    ...Object.fromEntries(vocabularyStatistics.map((name) => [name, fill(statistic)])),
    policyLogp: fill(Math.min(ratio, 0)),
    referenceLogp: fill(-Math.max(ratio, 0)),
    weight: fill(1),
    random: fill(0.5),
  };
}

test("every objective in the list is among the cases", () => {
  expect(new Set(cases.map(({ name }) => name))).toEqual(new Set(objectives.map(({ name }) => name)));
});

describe.each(cases)("%o", (options) => {
  const objective = createObjective(options);
  const evaluator = new ObjectiveEvaluator(objective, names);
  const weighted = new ObjectiveEvaluator(withImportanceWeights(objective), names);
  const { responses: count } = objective;
  const draw = (random: Random, ...lengths: number[]) =>
    lengths.slice(0, count).map((length) => randomResponse(random, length));

  const differentiated = partlyStopped.includes(options.name) ? [] : [evaluator, weighted];
  test.each(differentiated.map((used) => [used === evaluator ? "plain" : "weighted", used] as const))(
    "gradients equal finite differences, but for what is stopped or constant: %s",
    (_, used) => {
      const responses = draw(Random.from(1), 4, 3);
      const [outcome] = used.evaluate([responses]);
      const step = 1e-5;
      for (const [side, response] of responses.entries()) {
        for (const name of [...names, "weight"]) {
          const gradient = outcome!.gradients[side]![name];
          const vector = response[name]!;
          const [stoppedSide, stoppedName] = stopped[options.name] ?? [];
          const isStopped = side === stoppedSide && name === stoppedName;
          if (isStopped || name === "referenceLogp" || name === "weight") {
            expect(gradient).toBeUndefined();
            continue;
          }
          vector.forEach((value, index) => {
            const lossAt = (moved: number) => {
              vector[index] = moved;
              return used.evaluate([responses])[0]!.loss;
            };
            const difference = (lossAt(value + step) - lossAt(value - step)) / (2 * step);
            vector[index] = value;
            const error = Math.abs((gradient?.[index] ?? 0) - difference);
            expect(error / Math.max(1, Math.abs(difference))).toBeLessThan(1e-8);
          });
        }
      }
    },
  );

  test("log-ratios of ±800 a token over 512 tokens stay finite, and the better answer costs less", () => {
    const [up, down] = [uniformResponse(512, 800, 800), uniformResponse(512, -800, 800)];
    const [right, wrong] = [
      [up, down],
      [down, up],
    ].map((responses) => evaluator.evaluate([responses.slice(0, count)])[0]!);
    for (const { loss, rewards = [], plainRewards = [], gradients } of [right!, wrong!]) {
      const vectors = gradients.flatMap((response) => Object.values(response).flatMap((vector) => [...vector]));
      expect([loss, ...rewards, ...plainRewards, ...vectors].every(Number.isFinite)).toBe(true);
    }
    // It lowers both answers, and the chosen one stands at its limit in either case.
    if (options.name === "apo-down") expect(right!.loss).toBe(wrong!.loss);
    else expect(right!.loss).toBeLessThan(wrong!.loss);
    if (right!.rewards) expect(right!.rewards[0]).toBeGreaterThan(right!.rewards[1]!);
    // The policy learns to prefer the chosen answer.
    for (const [side, { policyLogp }] of wrong!.gradients.entries()) {
      const pull = side === 0 ? -policyLogp![511]! : policyLogp![511]!;
      expect(pull).toBeGreaterThanOrEqual(0);
      if (!levelsOff[options.name]?.includes(side)) expect(pull).toBeGreaterThan(0);
    }
  });

  test("padding has no influence", () => {
    const random = Random.from(2);
    const examples = [draw(random, 3, 1), draw(random, 2, 9), draw(random, 1, 1)];
    for (const used of [evaluator, weighted]) {
      const together = used.evaluate(examples);
      if (objective.scope === "example")
        expect(together).toEqual(examples.flatMap((example) => used.evaluate([example])));
      expect(together[1]!.gradients.map(({ policyLogp }) => policyLogp!.length)).toEqual([2, 9].slice(0, count));
    }
  });

  test("a response without tokens counts as a sum of nothing", () => {
    const [none, some] = [randomResponse(Random.from(3), 0), randomResponse(Random.from(3), 2)];
    // One token with the same sums, namely zeros.
    const zero = uniformResponse(1, 0, 0);
    const of = (chosen: ResponseVectors, rejected: ResponseVectors) =>
      evaluator.evaluate([[chosen, rejected].slice(0, count)])[0]!;
    const [actual, expected] = [of(none, some), of(zero, some)];
    // The lengths of the answers are part of this loss.
    if (options.name === "r-dpo") return expect(actual.loss).toBeGreaterThan(expected.loss);
    expect(actual.loss).toBe(expected.loss);
    expect(actual.rewards).toEqual(expected.rewards);
    expect(actual.gradients.slice(1)).toEqual(expected.gradients.slice(1));
    expect(actual.gradients[0]!.policyLogp).toEqual(new Float64Array(0));
    expect(of(none, none).loss).toBe(of(zero, zero).loss);
  });

  test("weights of 1 change nothing, and with weights of 0 nothing counts", () => {
    const random = Random.from(4);
    const examples = [draw(random, 1, 1), draw(random, 3, 5)];
    const withWeight = (weight: number) =>
      examples.map((responses) =>
        responses.map((response) => ({ ...response, weight: response.policyLogp!.map(() => weight) })),
      );
    expect(weighted.evaluate(withWeight(1))).toEqual(evaluator.evaluate(examples));
    const masked = weighted.evaluate(withWeight(0));
    const nothing = examples.map((responses) => responses.map(() => randomResponse(random, 0)));
    // Which pairs are drawn, if any are, differs.
    const losses = (outcomes: typeof masked) => outcomes.map(({ loss }) => loss).toSorted((a, b) => a - b);
    expect(losses(masked)).toEqual(losses(evaluator.evaluate(nothing)));
    for (const { gradients } of masked)
      for (const { policyLogp } of gradients) expect(policyLogp!.every((value) => value === 0)).toBe(true);
  });

  test("a batch's order is no matter, and equal answers have equal rewards", () => {
    const random = Random.from(5);
    const examples = [draw(random, 2, 4), draw(random, 5, 1)];
    expect(evaluator.evaluate(examples.toReversed())).toEqual(evaluator.evaluate(examples).toReversed());
    const [same] = draw(random, 3);
    const { rewards } = evaluator.evaluate([[same!, same!].slice(0, count)])[0]!;
    if (count === 2) expect(rewards![0]).toBe(rewards![1]);
  });
});

describe("at the limits of log-ratios", () => {
  const [up, down] = [uniformResponse(512, 800, 800), uniformResponse(512, -800, 800)];
  const margin = 2 * 800 * 512;
  const bothWays = (options: ObjectiveOptions) =>
    new ObjectiveEvaluator(createObjective(options), names).evaluate([
      [up, down],
      [down, up],
    ]);

  test.each([
    [{ name: "dpo", beta: 0.1 }, 0.1 * margin, 0],
    [{ name: "dpo", beta: 0.3, labelSmoothing: 0.1 }, 0.3 * margin, 0.1],
    // Without its reference DPO sees -Σ log π of `down` alone.
    [{ name: "dpo", beta: 0.3, referenceFree: true }, (0.3 * margin) / 2, 0],
    [{ name: "tdpo1", beta: 0.3 }, 0.3 * margin, 0],
    [{ name: "tdpo2", beta: 0.3, alpha: 0.5 }, 0.3 * margin, 0],
    [{ name: "tis-dpo", beta: 0.3, alpha: 0.5 }, 0.3 * margin, 0],
  ] as const)("−log σ(u) tends to 0 and to −u, its derivative to 0 and to −1: %o", (options, u, smoothing) => {
    const [right, wrong] = bothWays(options);
    expect(right!.loss / u).toBeCloseTo(smoothing, 12);
    expect(wrong!.loss / u).toBeCloseTo(1 - smoothing, 12);
    expect(right!.gradients[0]!.policyLogp![511]).toBeCloseTo(smoothing * options.beta, 12);
    expect(wrong!.gradients[0]!.policyLogp![511]).toBeCloseTo(-(1 - smoothing) * options.beta, 12);
  });

  test("IPO grows with the square", () => {
    const [right, wrong] = bothWays({ name: "ipo", beta: 0.2 });
    expect([right!.loss, wrong!.loss]).toEqual([(margin - 2.5) ** 2, (-margin - 2.5) ** 2]);
    expect(wrong!.gradients[0]!.policyLogp![511]).toBe(2 * (-margin - 2.5));
  });
});

describe("the definitions", () => {
  test.each(objectives)("$name: its settings can be left out, and wrong ones are refused by name", (definition) => {
    const options = definition.schema.parse({ name: definition.name });
    expect(createObjective(options)).toMatchObject({ name: definition.name, responses: definition.responses });
    for (const option of Object.values(definition.schema.shape).slice(1)) expect(option.description).toBeTruthy();
    expect(Object.values(definition.proposed)).not.toContain(undefined);
    for (const option of Object.keys(definition.schema.shape).slice(1))
      expect(() => objectiveNamed(definition.name).create({ [option]: "wrong" })).toThrow(
        `${definition.name}.${option}`,
      );
    expect(() => objectiveNamed(definition.name).create({ delay: 1 })).toThrow("delay");
  });
});

test("a name that is not in the list is refused", () => {
  expect(() => createObjective({ name: "ppo" } as unknown as ObjectiveOptions)).toThrow(
    /objective\.name: must be one of sft, .*"ppo"/,
  );
});

test("without a reference, reference-free DPO logs the policy's log-probabilities alone", () => {
  const evaluator = new ObjectiveEvaluator(createObjective({ name: "dpo", beta: 0.5, referenceFree: true }), [
    "policyLogp",
  ]);
  const [outcome] = evaluator.evaluate([
    [{ policyLogp: Float64Array.of(-1, -2) }, { policyLogp: Float64Array.of(-4) }],
  ]);
  expect(outcome!.rewards).toEqual([-1.5, -2]);
  expect(outcome!.plainRewards).toBeUndefined();
  expect(outcome!.loss).toBeCloseTo(Math.log1p(Math.exp(-0.5)), 15);
});
