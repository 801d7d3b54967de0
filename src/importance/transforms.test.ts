import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { largestError } from "../../test/helpers/compare.ts";
import { Random } from "../random.ts";
import { createTransform, type Side, type TransformOptions } from "./transforms.ts";

function weights(options: TransformOptions, ratios: readonly number[], side: Side = "chosen"): number[] {
  return Array.from(createTransform(options)(Float64Array.from(ratios), side, Random.from(0, "test")));
}

const range = { least: 0.7, most: 1.3 };
const published: Readonly<Record<string, TransformOptions>> = {
  binary_50: { name: "binary", share: 0.5 },
  "threshold_-1_1": { name: "threshold", lower: -1, upper: 1 },
  "thresholdAndScale_-1.5_1.5_0.7_1.3": { name: "threshold-and-scale", lower: -1.5, upper: 1.5, ...range },
  "rankBased_0.7_1.3": { name: "rank", ...range },
};

describe("the published code's transforms", () => {
  const oracle = new URL("../../test/golden/official-losses.json", import.meta.url);
  const { weightTransforms } = JSON.parse(readFileSync(process.env.TOKENWISE_ORACLE ?? oracle, "utf8")) as {
    weightTransforms: ({ input: number[] } & Record<string, number[]>)[];
  };
  const cases = weightTransforms.flatMap(({ input, ...expected }) =>
    Object.entries(expected).map(([key, values]) => ({ key, input, values })),
  );

  test("are in the file, and known", () => {
    expect(new Set(cases.map(({ key }) => key))).toEqual(new Set(Object.keys(published)));
  });

  // Binary of a single token or of ties, and rank of ties, are unsound there: see below.
  const hasTies = (values: readonly number[]) => new Set(values).size < values.length;
  const sound = cases.filter(
    ({ key, input }) =>
      !(key.startsWith("binary") && (input.length === 1 || hasTies(input))) &&
      !(key.startsWith("rank") && hasTies(input)),
  );
  test("most of the file is sound", () => expect(sound.length).toBeGreaterThanOrEqual(cases.length - 4));

  test.for(sound)("$key of $input", ({ key, input, values }) => {
    expect(largestError(weights(published[key]!, input), values)).toBeLessThan(1e-12);
  });
});

describe("where the published code is unsound", () => {
  test("the only token of an answer is among the highest, and in the middle of the ranks", () => {
    expect(weights({ name: "binary", share: 0.5 }, [-3])).toEqual([1]);
    expect(weights({ name: "rank", ...range }, [-3])).toEqual([1]);
  });

  test("equal tokens weigh the same", () => {
    expect(weights({ name: "binary", share: 0.5 }, [0.5, 0.5, 0.1])).toEqual([1, 1, 0]);
    const [first, second, last] = weights({ name: "rank", ...range }, [0.5, 0.5, 0.1]);
    expect(first).toBe(second);
    expect(first).toBeCloseTo(1.15, 12);
    expect(last).toBeCloseTo(0.7, 12);
  });
});

describe("exp-clamp", () => {
  const options: TransformOptions = { name: "exp-clamp", k: 2, mu: 0.5, lower: -0.5, upper: 1.5 };

  test("k exp(mu clamp(r)) for chosen, k exp(-mu clamp(r)) for rejected answers", () => {
    const ratios = [0, 1, 9, -9];
    const clamped = [0, 1, 1.5, -0.5];
    expect(weights(options, ratios)).toEqual(clamped.map((ratio) => 2 * Math.exp(0.5 * ratio)));
    expect(weights(options, ratios, "rejected")).toEqual(clamped.map((ratio) => 2 * Math.exp(-0.5 * ratio)));
  });

  test("stays finite for confident models", () => {
    expect(weights(options, [800, -800]).every(Number.isFinite)).toBe(true);
  });
});

test("magnitude: mean 1, the same on both sides and for both signs, more where the models disagree", () => {
  const options: TransformOptions = { name: "magnitude", mu: 2, limit: 1 };
  const [small, large, negative, huge] = weights(options, [0.1, 0.9, -0.9, -800]);
  expect((small! + large! + negative! + huge!) / 4).toBeCloseTo(1, 12);
  expect(large).toBe(negative);
  expect(large! / small!).toBeCloseTo(Math.exp(2 * 0.8), 12);
  expect(huge! / small!).toBeCloseTo(Math.exp(2 * 0.9), 12);
  expect(weights(options, [0.1, 0.9, -0.9, -800], "rejected")).toEqual([small, large, negative, huge]);
  expect(weights(options, [0])).toEqual([1]);
});

test("the rejected side has the opposite sign", () => {
  expect(weights({ name: "raw" }, [1, -2])).toEqual([1, -2]);
  expect(weights({ name: "raw" }, [1, -2], "rejected")).toEqual([-1, 2]);
  expect(weights({ name: "binary", share: 0.5 }, [1, -2], "rejected")).toEqual([0, 1]);
});

test("random weights lie in their range and depend on their source only", () => {
  const values = weights({ name: "random", ...range }, Array(200).fill(0));
  expect(Math.min(...values)).toBeGreaterThanOrEqual(0.7);
  expect(Math.max(...values)).toBeLessThanOrEqual(1.3);
  expect(new Set(values).size).toBeGreaterThan(190);
  expect(weights({ name: "random", ...range }, Array(200).fill(5))).toEqual(values);
});

test("ones", () => expect(weights({ name: "ones" }, [3, -800], "rejected")).toEqual([1, 1]));

test("the input stays as it was", () => {
  const ratios = Float64Array.of(1, -2);
  for (const options of [{ name: "raw" }, { name: "rank", ...range }, { name: "binary", share: 0.5 }] as const)
    createTransform(options)(ratios, "rejected", Random.from(0));
  expect(Array.from(ratios)).toEqual([1, -2]);
});
