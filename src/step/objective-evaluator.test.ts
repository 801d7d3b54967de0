/** What holds for every objective: gradients, extremes, lengths. */
import { describe, expect, test } from "vitest";
import { pairObjectives } from "../../test/helpers/tiny.ts";
import { createObjective, type ObjectiveOptions } from "../objectives/index.ts";
import { Random } from "../random.ts";
import { ObjectiveEvaluator, type ResponseVectors } from "./objective-evaluator.ts";

const names = ["policyLogp", "referenceLogp", "klReferencePolicy", "klPolicyReference", "weight"] as const;
const evaluatorOf = (options: ObjectiveOptions) => new ObjectiveEvaluator(createObjective(options), names);

function randomResponse(random: Random, length: number): ResponseVectors {
  const draw = (next: () => number) => Float64Array.from({ length }, next);
  return {
    policyLogp: draw(() => -2 + random.normal()),
    referenceLogp: draw(() => -2 + random.normal()),
    klReferencePolicy: draw(() => random.next()),
    klPolicyReference: draw(() => random.next()),
    weight: draw(() => 1 + random.normal()),
  };
}

/** A response whose every token has the given log-ratio and divergence. */
function uniformResponse(length: number, ratio: number, divergence: number): ResponseVectors {
  return {
    policyLogp: new Float64Array(length).fill(Math.min(ratio, 0)),
    referenceLogp: new Float64Array(length).fill(-Math.max(ratio, 0)),
    klReferencePolicy: new Float64Array(length).fill(divergence),
    klPolicyReference: new Float64Array(length).fill(divergence),
    weight: new Float64Array(length).fill(1),
  };
}

describe.each(pairObjectives)("%o", (options) => {
  const evaluator = evaluatorOf(options);

  test("gradients equal finite differences, but for what is stopped or frozen", () => {
    const random = Random.from(1);
    const responses = [randomResponse(random, 4), randomResponse(random, 3)];
    const [outcome] = evaluator.evaluate([responses]);
    const step = 1e-5;
    for (const [side, response] of responses.entries()) {
      for (const name of names) {
        const gradient = outcome!.gradients[side]![name];
        const vector = response[name]!;
        vector.forEach((value, index) => {
          const lossAt = (moved: number) => {
            vector[index] = moved;
            return evaluator.evaluate([responses])[0]!.loss;
          };
          const difference = (lossAt(value + step) - lossAt(value - step)) / (2 * step);
          vector[index] = value;
          const stopped =
            name === "referenceLogp" ||
            name === "weight" ||
            (options.name === "tdpo2" && name !== "policyLogp" && side === 0);
          if (stopped) expect(gradient).toBeUndefined();
          else expect(Math.abs((gradient?.[index] ?? 0) - difference)).toBeLessThan(1e-8);
        });
      }
    }
  });

  test("log-ratios of ±800 a token over 512 tokens: finite, and the limits", () => {
    const [up, down] = [uniformResponse(512, 800, 800), uniformResponse(512, -800, 800)];
    const [right, wrong] = evaluator.evaluate([
      [up, down],
      [down, up],
    ]);
    const margin = 2 * 800 * 512;
    // Without its reference DPO sees -Σ log π of `down` alone.
    const u = options.beta * ("referenceFree" in options ? margin / 2 : margin);
    if (options.name === "ipo") {
      const target = 1 / (2 * options.beta);
      expect([right!.loss, wrong!.loss]).toEqual([(margin - target) ** 2, (-margin - target) ** 2]);
      expect(wrong!.gradients[0]!.policyLogp![511]).toBe(2 * (-margin - target));
    } else {
      // -log σ(u) tends to 0 and to -u; its derivative to 0 and to -1. Smoothing takes its share of the other.
      const smoothing = "labelSmoothing" in options ? options.labelSmoothing : 0;
      expect(right!.loss / u).toBeCloseTo(smoothing, 12);
      expect(wrong!.loss / u).toBeCloseTo(1 - smoothing, 12);
      expect(right!.gradients[0]!.policyLogp![511]).toBeCloseTo(smoothing * options.beta, 12);
      expect(wrong!.gradients[0]!.policyLogp![511]).toBeCloseTo(-(1 - smoothing) * options.beta, 12);
    }
    for (const { loss, rewards, gradients } of [right!, wrong!]) {
      const vectors = gradients.flatMap((response) => Object.values(response).flatMap((vector) => [...vector]));
      expect([loss, ...rewards!, ...vectors].every(Number.isFinite)).toBe(true);
    }
    expect(right!.rewards![0]).toBeGreaterThan(right!.rewards![1]);
  });

  test("padding has no influence", () => {
    const random = Random.from(2);
    const examples = [
      [randomResponse(random, 3), randomResponse(random, 1)],
      [randomResponse(random, 2), randomResponse(random, 9)],
      [randomResponse(random, 1), randomResponse(random, 1)],
    ];
    const together = evaluator.evaluate(examples);
    expect(together).toEqual(examples.flatMap((example) => evaluator.evaluate([example])));
    expect(together[1]!.gradients.map(({ policyLogp }) => policyLogp!.length)).toEqual([2, 9]);
  });

  test("a response without tokens counts as a sum of nothing", () => {
    const none = randomResponse(Random.from(3), 0);
    const some = randomResponse(Random.from(3), 2);
    // One token with the same sums, namely zeros.
    const zero = uniformResponse(1, 0, 0);
    const [actual, expected] = [none, zero].map((chosen) => evaluator.evaluate([[chosen, some]])[0]!);
    expect(actual!.loss).toBe(expected!.loss);
    expect(actual!.rewards).toEqual(expected!.rewards);
    expect(actual!.gradients[1]).toEqual(expected!.gradients[1]);
    expect(actual!.gradients[0]!.policyLogp).toEqual(new Float64Array(0));
    expect(evaluator.evaluate([[none, none]])[0]!.loss).toBe(evaluator.evaluate([[zero, zero]])[0]!.loss);
  });
});

test("without a reference, reference-free DPO logs the policy's log-probabilities alone", () => {
  const evaluator = new ObjectiveEvaluator(createObjective({ name: "dpo", beta: 0.5, referenceFree: true }), [
    "policyLogp",
  ]);
  const [outcome] = evaluator.evaluate([
    [{ policyLogp: Float64Array.of(-1, -2) }, { policyLogp: Float64Array.of(-4) }],
  ]);
  expect(outcome!.rewards).toEqual([-1.5, -2]);
  expect(outcome!.loss).toBeCloseTo(Math.log1p(Math.exp(-0.5)), 15);
});
