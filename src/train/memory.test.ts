import { expect, test } from "vitest";
import { example, tinyConfiguration } from "../../test/helpers/tiny.ts";
import { createObjective } from "../objectives/index.ts";
import { microbatches } from "../step/microbatches.ts";
import { estimateMemory, microbatchSizes } from "./memory.ts";

const sizes = [30, 500, 20, 700, 10, 10, 10, 900, 40, 60, 5];

test("examples fall into microbatches as in training", () => {
  const examples = sizes.map((size) =>
    example(
      [1],
      Array.from({ length: size - 1 }, () => 1),
    ),
  );
  for (const [batchSize, limit] of [
    [4, 600],
    [3, 100],
    [20, 1000],
    [1, 2048],
  ] as const) {
    const expected = [];
    for (let start = 0; start < examples.length; start += batchSize)
      expected.push(...microbatches(examples.slice(start, start + batchSize), { tokens: limit }));
    const tokens = expected.map((group) => group.reduce((sum, { responses }) => sum + 1 + responses[0]!.length, 0));
    expect(microbatchSizes(sizes, batchSize, limit)).toEqual(tokens);
  }
});

test("weights are counted once for each of their uses", () => {
  const parameters = 1e8;
  const model = { parameters, configuration: tinyConfiguration() };
  const settings = { sizes, batchSize: 4, microbatchTokens: 1024 };
  const aligned = estimateMemory(model, createObjective({ name: "tdpo2", beta: 0.1, alpha: 0.5 }), settings);
  expect(aligned).toMatchObject({ weights: 4e8, gradients: 4e8, optimizer: 8e8, reference: 4e8 });
  const { total, ...parts } = aligned;
  expect(total).toBe(Object.values(parts).reduce((sum, bytes) => sum + bytes, 0));
  const supervised = estimateMemory(model, createObjective({ name: "sft" }), settings);
  expect(supervised.reference).toBe(0);
  expect(supervised.total).toBeLessThan(total);
});

test("longer microbatches need more, and larger vocabularies up to what is kept of them", () => {
  const objective = createObjective({ name: "dpo", beta: 0.1 });
  const estimate = (microbatchTokens: number, vocabulary: number) => {
    const configuration = tinyConfiguration({ vocab_size: vocabulary });
    const lengths = Array.from({ length: 64 }, () => 32);
    const settings = { sizes: lengths, batchSize: 64, microbatchTokens };
    return estimateMemory({ parameters: 1000, configuration }, objective, settings).activations;
  };
  expect(estimate(2048, 40) / estimate(1024, 40)).toBeCloseTo(2, 0);
  expect(estimate(1024, 32_768)).toBeGreaterThan(estimate(1024, 40) + 2 * 4 * 256 * 32_768);
  expect(estimate(1024, 262_144)).toBe(estimate(1024, 32_768));
});
