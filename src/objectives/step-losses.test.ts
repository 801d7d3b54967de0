/** The losses that depend on all pairs of a step, against a second, plain computation. */
import { describe, expect, test } from "vitest";
import { Random } from "../random.ts";
import { ObjectiveEvaluator, type ResponseVectors } from "../step/objective-evaluator.ts";
import { aot } from "./aot.ts";
import { bcoPair } from "./bco.ts";
import { betaDpo } from "./beta-dpo.ts";
import { mpo } from "./mpo.ts";
import type { Objective } from "./objective.ts";

const names = ["policyLogp", "referenceLogp"] as const;
const sum = (numbers: Iterable<number>) => Array.from(numbers).reduce((all, value) => all + value, 0);
const meanOf = (numbers: readonly number[]) => sum(numbers) / numbers.length;
const logistic = (x: number) => Math.log1p(Math.exp(-x));
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

const random = Random.from(1, "step losses");
const answer = (length: number): ResponseVectors => ({
  policyLogp: Float64Array.from({ length }, () => -2 * random.next()),
  referenceLogp: Float64Array.from({ length }, () => -2 * random.next()),
  random: Float64Array.from({ length }, () => random.next()),
});
const pairs = [
  [3, 1],
  [2, 4],
  [1, 1],
  [5, 2],
  [4, 6],
].map((lengths) => lengths.map(answer));
const logps = pairs.map((pair) => pair.map(({ policyLogp }) => sum(policyLogp!)));
const references = pairs.map((pair) => pair.map(({ referenceLogp }) => sum(referenceLogp!)));
const ratios = logps.map((pair, index) => pair.map((logp, side) => logp - references[index]![side]!));
const margins = ratios.map(([w, l]) => w! - l!);

function stepOf(
  objective: Objective,
  examples = pairs,
  state: Record<string, number> = objective.initialState as never,
) {
  return new ObjectiveEvaluator(objective, names).evaluateStep(examples, { state });
}

/** The step's loss where one log-probability is moved. */
function gradientByDifferences(objective: Objective, example: number, side: number, index: number): number {
  const vector = pairs[example]![side]!.policyLogp!;
  const [value, step] = [vector[index]!, 1e-6];
  const lossAt = (moved: number) => {
    vector[index] = moved;
    return sum(stepOf(objective).outcomes.map(({ loss }) => loss));
  };
  const difference = (lossAt(value + step) - lossAt(value - step)) / (2 * step);
  vector[index] = value;
  return difference;
}

/** The numbers that have the same rank among `b` as each has among `a`. */
function ofSameRank(a: readonly number[], b: readonly number[]): number[] {
  const ascending = a.toSorted((x, y) => x - y);
  return a.map((value) => b.toSorted((x, y) => x - y)[ascending.indexOf(value)]!);
}

describe("aot", () => {
  const policy = logps.map(([w, l]) => w! - l!);
  const reference = references.map(([w, l]) => w! - l!);
  const chosen = ratios.map(([w]) => w!);
  const rejected = ratios.map(([, l]) => l!);

  test.each([
    [true, policy, reference],
    [false, chosen, rejected],
  ] as const)("compares what has the same rank, paired: %s", (paired, a, b) => {
    const expected = ofSameRank(a, b).map((other, index) => {
      const u = 0.3 * (a[index]! - other);
      return 0.9 * logistic(u) + 0.1 * logistic(-u);
    });
    const { outcomes } = stepOf(aot.create({ beta: 0.3, labelSmoothing: 0.1, paired }));
    expect(outcomes.map(({ loss }) => loss)).toEqual(expected.map((loss) => expect.closeTo(loss, 12)));
    expect(outcomes[1]!.rewards).toEqual(ratios[1]!.map((ratio) => expect.closeTo(0.3 * ratio, 12)));
    // The ranks matter: alone, each pair is compared with itself.
    const alone = pairs.map((pair) => stepOf(aot.create({ beta: 0.3, labelSmoothing: 0.1, paired }), [pair]));
    expect(alone[0]!.outcomes[0]!.loss).not.toBeCloseTo(expected[0]!, 3);
    expect(alone.map(({ outcomes: [one] }) => one!.loss)).toEqual(
      margins.map((margin) => expect.closeTo(0.9 * logistic(0.3 * margin) + 0.1 * logistic(-0.3 * margin), 12)),
    );
  });

  test.each([true, false])("the gradient goes to what was compared, paired: %s", (paired) => {
    const objective = aot.create({ beta: 0.3, paired });
    const { outcomes } = stepOf(objective);
    for (const example of pairs.keys())
      for (const side of [0, 1])
        expect(outcomes[example]!.gradients[side]!.policyLogp![0]).toBeCloseTo(
          gradientByDifferences(objective, example, side, 0),
          8,
        );
  });
});

describe("bco-pair", () => {
  const rewards = ratios.flat().map((ratio) => 0.5 * ratio);
  const lossesWith = (shift: number) => ratios.map(([w, l]) => logistic(0.5 * w! - shift) + logistic(shift - 0.5 * l!));

  test("compares with the mean of all rewards that the run has seen", () => {
    const objective = bcoPair.create({ beta: 0.5 });
    const first = stepOf(objective);
    expect(first.state).toEqual({ shift: expect.closeTo(meanOf(rewards), 12), seen: 10 });
    expect(first.outcomes.map(({ loss }) => loss)).toEqual(
      lossesWith(meanOf(rewards)).map((loss) => expect.closeTo(loss, 12)),
    );
    const second = stepOf(objective, pairs.slice(0, 2), { ...first.state });
    const all = [...rewards, ...rewards.slice(0, 4)];
    expect(second.state).toEqual({ shift: expect.closeTo(meanOf(all), 12), seen: 14 });
  });

  test("no gradient flows through the mean, and evaluations leave it alone", () => {
    const objective = bcoPair.create({ beta: 0.5 });
    const { outcomes } = stepOf(objective);
    const slope = -0.5 * (1 - sigmoid(0.5 * ratios[0]![0]! - meanOf(rewards)));
    for (const gradient of outcomes[0]!.gradients[0]!.policyLogp!) expect(gradient).toBeCloseTo(slope, 12);
    const evaluated = new ObjectiveEvaluator(objective, names).evaluate(pairs, { state: { shift: 0.3, seen: 4 } });
    expect(evaluated.map(({ loss }) => loss)).toEqual(lossesWith(0.3).map((loss) => expect.closeTo(loss, 12)));
  });

  test("without it each pair stands alone", () => {
    expect(bcoPair.create({ shift: "none" })).toMatchObject({ scope: "example", initialState: {} });
    expect(bcoPair.create()).toMatchObject({ scope: "step", initialState: { shift: 0, seen: 0 } });
  });
});

test("mpo weighs the losses of dpo, bco-pair with its running mean, and the chosen answer", () => {
  const shift = meanOf(ratios.flat().map((ratio) => 0.5 * ratio));
  const { outcomes, state } = stepOf(mpo.create({ beta: 0.5 }));
  expect(state.shift).toBeCloseTo(shift, 12);
  outcomes.forEach(({ loss }, index) => {
    const [w, l] = ratios[index]!;
    const quality = logistic(0.5 * w! - shift) + logistic(shift - 0.5 * l!);
    const imitation = -logps[index]![0]! / pairs[index]![0]!.policyLogp!.length;
    expect(loss).toBeCloseTo(0.8 * logistic(0.5 * margins[index]!) + 0.2 * quality + imitation, 12);
  });
});

describe("beta-dpo", () => {
  /** The plain computation of a step that begins with the state given. */
  function plain(alpha: number, filtered: number, state = { mean: 0, deviation: 0 }) {
    const center = meanOf(margins);
    const variance = sum(margins.map((margin) => (margin - center) ** 2)) / (margins.length - 1);
    const mean = 0.9 * state.mean + 0.1 * center;
    const deviation = 0.9 * state.deviation + 0.1 * Math.sqrt(variance);
    // A draw without replacement: the smallest of exponential variables, divided by the weights.
    const times = margins.map((margin, index) => {
      const weight = Math.exp(-0.5 * ((margin - mean) / deviation) ** 2);
      return -Math.log(pairs[index]![0]!.random![0]!) / weight;
    });
    const room = Math.max(1, Math.floor((1 - filtered) * margins.length));
    const kept = times.map((time) => times.filter((other) => other < time).length < room);
    const keptMean = meanOf(margins.filter((_, index) => kept[index]));
    const beta = Math.max(1e-3, 0.3 * (1 + alpha * (keptMean - mean)));
    const losses = margins.map((margin, index) =>
      kept[index] ? (logistic(beta * margin) * margins.length) / room : 0,
    );
    return { losses, beta, kept, room, state: { mean, deviation } };
  }

  test.each([
    [0.5, 0.2],
    [0.5, 0],
    [0, 0.6],
    [3, 0.9],
  ])("alpha %f, filtered %f: beta follows the kept pairs' margins, others get no loss", (alpha, filtered) => {
    const before = { mean: 0.4, deviation: 2 };
    const expected = plain(alpha, filtered, before);
    const { outcomes, state } = stepOf(betaDpo.create({ beta: 0.3, alpha, filtered }), pairs, before);
    expect(state).toEqual({
      mean: expect.closeTo(expected.state.mean, 12),
      deviation: expect.closeTo(expected.state.deviation, 12),
    });
    expect(outcomes.map(({ loss }) => loss)).toEqual(expected.losses.map((loss) => expect.closeTo(loss, 10)));
    expect(outcomes.filter(({ loss }) => loss > 0)).toHaveLength(expected.room);
    // No gradient flows through beta, the averages and the draw.
    for (const [index, { gradients }] of outcomes.entries()) {
      const slope = -expected.beta * (1 - sigmoid(expected.beta * margins[index]!));
      const share = expected.kept[index] ? margins.length / expected.room : 0;
      expect(gradients[0]!.policyLogp![0]).toBeCloseTo(slope * share, 10);
      expect(gradients[1]!.policyLogp![0]).toBeCloseTo(-slope * share, 10);
    }
  });

  test("with alpha 0 and nothing filtered it is dpo", () => {
    const { outcomes } = stepOf(betaDpo.create({ beta: 0.3, alpha: 0, filtered: 0 }));
    expect(outcomes.map(({ loss }) => loss)).toEqual(
      margins.map((margin) => expect.closeTo(logistic(0.3 * margin), 12)),
    );
  });

  test("of a single pair that one is kept, and of equal ones as many as of others", () => {
    const state = { mean: 0.4, deviation: 2 };
    expect(stepOf(betaDpo.create(), [pairs[0]!], state).outcomes[0]!.loss).toBeGreaterThan(0);
    const { outcomes } = stepOf(betaDpo.create(), [pairs[0]!, pairs[0]!, pairs[0]!], state);
    expect(outcomes.filter(({ loss }) => loss > 0)).toHaveLength(2);
    expect(outcomes.every(({ loss }) => Number.isFinite(loss))).toBe(true);
  });

  test("while the deviation is 0 it is dpo: equal margins in the first step, no state in evaluation", () => {
    const expected = (used: readonly number[]) => used.map((margin) => expect.closeTo(logistic(0.3 * margin), 12));
    const objective = betaDpo.create({ beta: 0.3 });
    const same = [pairs[0]!, pairs[0]!, pairs[0]!];
    const first = stepOf(objective, same);
    expect(first.state.deviation).toBeCloseTo(0, 12);
    expect(first.outcomes.map(({ loss }) => loss)).toEqual(expected([margins[0]!, margins[0]!, margins[0]!]));
    const evaluated = new ObjectiveEvaluator(objective, names).evaluate(pairs);
    expect(evaluated.map(({ loss }) => loss)).toEqual(expected(margins));
  });

  test("the pairs are drawn as often as their weights say", () => {
    // Two of three pairs are kept; with weights p, pair 1 is drawn first or second.
    const state = { mean: 0, deviation: 1 };
    const evaluator = new ObjectiveEvaluator(betaDpo.create({ filtered: 0.33, momentum: 0.999999 }), names);
    const ratiosOf = [0, 1, 2];
    const weights = ratiosOf.map((margin) => Math.exp(-0.5 * margin ** 2));
    const [a, b, c] = weights.map((weight) => weight / sum(weights)) as [number, number, number];
    const expected = c + (a * c) / (1 - a) + (b * c) / (1 - b);
    const chance = Random.from(2, "draws");
    let count = 0;
    const rounds = 2000;
    for (let round = 0; round < rounds; round++) {
      const examples = ratiosOf.map((ratio): ResponseVectors[] => [
        {
          policyLogp: Float64Array.of(0),
          referenceLogp: Float64Array.of(-ratio),
          random: Float64Array.of(chance.next()),
        },
        { policyLogp: Float64Array.of(0), referenceLogp: Float64Array.of(0), random: Float64Array.of(0.5) },
      ]);
      if (evaluator.evaluateStep(examples, { state }).outcomes[2]!.loss > 0) count++;
    }
    expect(Math.abs(count / rounds - expected)).toBeLessThan(4 * Math.sqrt((expected * (1 - expected)) / rounds));
  });
});
