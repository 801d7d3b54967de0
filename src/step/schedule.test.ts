import { describe, expect, test } from "vitest";
import { learningRateAt } from "./schedule.ts";

const rates = (totalSteps: number, options: Omit<Parameters<typeof learningRateAt>[2], "learningRate">) =>
  Array.from({ length: totalSteps }, (_, step) => learningRateAt(step, totalSteps, { learningRate: 1, ...options }));

describe("warm-up", () => {
  test.each([0, 1, 3, 7])("of %d steps: min(1, (step + 1) / (warmup + 1)), then constant", (warmupSteps) => {
    const expected = Array.from({ length: 10 }, (_, step) => Math.min(1, (step + 1) / (warmupSteps + 1)));
    expect(rates(10, { warmupSteps })).toEqual(expected);
    expect(rates(10, { warmupSteps, decay: "constant" })).toEqual(expected);
    expect(rates(10, { warmupSteps, decay: "cosine" }).slice(0, warmupSteps + 1)).toEqual(
      expected.slice(0, warmupSteps + 1),
    );
  });

  test("is left out by default, never starts at zero, and may be longer than the run", () => {
    expect(rates(3, {})).toEqual([1, 1, 1]);
    expect(rates(4, { warmupSteps: 150, decay: "cosine" })).toEqual([1, 2, 3, 4].map((step) => step / 151));
  });
});

describe("cosine", () => {
  test("is at its peak after the warm-up, half way at half, and zero at the end", () => {
    const at = (step: number) => learningRateAt(step, 110, { learningRate: 2e-5, warmupSteps: 10, decay: "cosine" });
    expect(at(10)).toBe(2e-5);
    expect(at(35)).toBeCloseTo(2e-5 * (0.5 + Math.SQRT1_2 / 2), 18);
    expect(at(60)).toBeCloseTo(1e-5, 18);
    expect(at(109)).toBeGreaterThan(0);
    expect(at(110)).toBe(0);
    expect(at(200)).toBe(0);
  });

  test("never rises", () => {
    const all = rates(20, { decay: "cosine" });
    expect(all).toEqual(all.toSorted((a, b) => b - a));
    expect(new Set(all).size).toBe(20);
  });
});

test("rates scale with the peak", () => {
  for (const decay of ["constant", "cosine"] as const) {
    const options = { warmupSteps: 2, decay };
    const scaled = Array.from({ length: 8 }, (_, step) => learningRateAt(step, 8, { learningRate: 0.25, ...options }));
    expect(scaled).toEqual(rates(8, options).map((rate) => rate / 4));
  }
});
