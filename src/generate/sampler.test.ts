import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../random.ts";
import { entropy, greedy, type SamplingOptions, sample } from "./sampler.ts";

const all: SamplingOptions = { temperature: 1, topK: 0, topP: 1 };

/** Shares of 20,000 draws. */
function shares(probabilities: readonly number[], options: Partial<SamplingOptions>): number[] {
  const logits = Float64Array.from(probabilities, Math.log);
  const random = Random.from(1, "shares");
  const counts = probabilities.map(() => 0);
  for (let draw = 0; draw < 20_000; draw++) counts[sample(logits, { ...all, ...options }, random)]!++;
  return counts.map((count) => count / 20_000);
}

describe("draws have the probabilities of", () => {
  const probabilities = [0.1, 0.4, 0.05, 0.3, 0.15];
  const cases: [string, Partial<SamplingOptions>, number[]][] = [
    ["the model", {}, probabilities],
    ["temperature 0.5: squares", { temperature: 0.5 }, normalized(probabilities.map((p) => p * p))],
    ["temperature 2: roots", { temperature: 2 }, normalized(probabilities.map(Math.sqrt))],
    ["the 2 likeliest", { topK: 2 }, [0, 4 / 7, 0, 3 / 7, 0]],
    ["more than there are", { topK: 9 }, probabilities],
    ["the likeliest that reach 0.6", { topP: 0.6 }, [0, 4 / 7, 0, 3 / 7, 0]],
    ["the likeliest that reach 0.71", { topP: 0.71 }, normalized([0, 0.4, 0, 0.3, 0.15])],
    ["the first alone", { topP: 0 }, [0, 1, 0, 0, 0]],
    ["top-p among the top k, as in transformers", { topK: 3, topP: 0.5 }, [0, 4 / 7, 0, 3 / 7, 0]],
    ["temperature before top-p", { temperature: 0.25, topP: 0.7 }, [0, 1, 0, 0, 0]],
  ];
  test.each(cases)("%s", (_name, options, expected) => {
    for (const [token, share] of shares(probabilities, options).entries())
      expect(share).toBeCloseTo(expected[token]!, 1.7);
  });
});

test("greedy takes the first of equals; temperature 0 is greedy and draws nothing", () => {
  expect(greedy([1, 3, 3, 2])).toBe(1);
  const random = Random.from(0);
  const before = random.state;
  expect(sample(Float32Array.of(1, 3, 3, 2), { ...all, temperature: 0 }, random)).toBe(1);
  expect(random.state).toEqual(before);
});

test("the draw is always one of the tokens that a plain sort keeps", () => {
  const logits = fc.array(fc.integer({ min: -12, max: 12 }), { minLength: 1, maxLength: 40 });
  const topP = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(logits, fc.integer({ min: 0, max: 45 }), topP, fc.nat(), (values, topK, topP, seed) => {
      const kept = plainly(values, topK, topP);
      const random = Random.from(seed);
      const drawn = new Set<number>();
      for (let draw = 0; draw < 30; draw++)
        drawn.add(sample(Float64Array.from(values), { temperature: 1, topK, topP }, random));
      for (const token of drawn) expect(kept).toContain(token);
    }),
    { seed: 1 },
  );
});

test("extreme logits and temperatures give a token all the same", () => {
  const random = Random.from(3);
  const logits = Float32Array.of(-3e38, 3e38, 0);
  for (const temperature of [1e-30, 1, 1e30]) {
    expect([0, 1, 2]).toContain(sample(logits, { ...all, temperature, topP: 0.5 }, random));
  }
  expect(sample(logits, { ...all, temperature: 1e-30 }, random)).toBe(1);
});

test("entropy in nats", () => {
  expect(entropy(Float64Array.of(5, 5, 5, 5))).toBeCloseTo(Math.log(4), 12);
  expect(entropy(Float64Array.of(0, 1000))).toBe(0);
  expect(entropy(Float64Array.of(Math.log(0.25), Math.log(0.75)))).toBeCloseTo(0.5623351446188083, 12);
});

function normalized(weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Top-k, then top-p, by sorting. */
function plainly(logits: readonly number[], topK: number, topP: number): number[] {
  const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b).slice(0, topK || undefined);
  const probabilities = normalized(order.map((token) => Math.exp(logits[token]!)));
  let before = 0;
  return order.filter((_, index) => {
    // A hair more than exact, for the two ways to add may round differently.
    const stays = index === 0 || before < topP + 1e-12;
    before += probabilities[index]!;
    return stays;
  });
}
