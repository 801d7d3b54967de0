import { describe, expect, test } from "vitest";
import type { Engine, FloatValue } from "../engine/engine.ts";
import { float64Engine } from "../engine/float64.ts";
import { onnxRuntimeEngine } from "../engine/native/onnx-runtime.ts";
import { largestError, randomNumbers } from "../graph/testing/values.ts";
import { type AdamWOptions, Optimizer, type OptimizerOptions, type RmsPropOptions } from "./optimizer.ts";

/** One weight as PyTorch's documentation of the optimizer updates it. */
type ScalarRule = (weight: number, gradient: number, rate: number, decay: number) => number;

/** torch.optim.AdamW: decay first, then `γ m̂ / (√v̂ + ε)`. */
function scalarAdamW({ beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }: AdamWOptions): ScalarRule {
  let [t, m, v] = [0, 0, 0];
  return (weight, gradient, rate, decay) => {
    t++;
    const decayed = weight - rate * decay * weight;
    m = beta1 * m + (1 - beta1) * gradient;
    v = beta2 * v + (1 - beta2) * gradient ** 2;
    const [mHat, vHat] = [m / (1 - beta1 ** t), v / (1 - beta2 ** t)];
    return decayed - (rate * mHat) / (Math.sqrt(vHat) + epsilon);
  };
}

/**
 * torch.optim.RMSprop, not centered, without momentum; the decay as in AdamW instead of its L2
 * term.
 */
function scalarRmsProp({ decay: alpha = 0.99, epsilon = 1e-8 }: RmsPropOptions): ScalarRule {
  let v = 0;
  return (weight, gradient, rate, decay) => {
    v = alpha * v + (1 - alpha) * gradient ** 2;
    return weight - rate * decay * weight - (rate * gradient) / (Math.sqrt(v) + epsilon);
  };
}

const scalarRule = (options: OptimizerOptions) =>
  options.name === "adamw" ? scalarAdamW(options) : scalarRmsProp(options);

const cases: OptimizerOptions[] = [
  { name: "adamw" },
  { name: "adamw", weightDecay: 0.1 },
  { name: "adamw", beta1: 0, beta2: 0.95, epsilon: 1e-3 },
  { name: "rmsprop" },
  { name: "rmsprop", weightDecay: 0.1 },
  { name: "rmsprop", decay: 0.8, epsilon: 1e-3 },
];

const sliceElements = 2 ** 18;

describe.each<[string, Engine, number]>([
  ["float64", float64Engine(), 1e-13],
  ["ONNX Runtime", onnxRuntimeEngine({ threads: 2 }), 1e-6],
])("in %s", (_, engine, tolerance) => {
  const random = randomNumbers(3);
  const filled = (shape: number[], value: (index: number) => number): FloatValue => {
    const result = engine.allocate(shape);
    for (let index = 0; index < result.data.length; index++) result.data[index] = value(index);
    return result;
  };
  const signed = () => 2 * random() - 1;
  const shapes = { matrix: [3, 5], vector: [4], last: [1, 2, 3] };
  const all = (value: (index: number) => number) =>
    new Map(Object.entries(shapes).map(([name, shape]) => [name, filled(shape, value)]));

  test.each(cases)("%j follows PyTorch's formulas", async (options) => {
    const parameters = all(signed);
    const rules = new Map(
      [...parameters].map(([name, { data }]) => [name, Array.from(data, () => scalarRule(options))]),
    );
    const expected = new Map([...parameters].map(([name, { data }]) => [name, Float64Array.from(data)]));
    const optimizer = new Optimizer(engine, options, parameters);
    for (const [step, learningRate] of [0.1, 0.1, 0.03, 0, 0.2, 0.01].entries()) {
      const gradients = all(() => signed() * 10 ** (2 * signed()));
      const before = new Map([...gradients].map(([name, { data }]) => [name, Array.from(data)]));
      const gradientScale = step === 2 ? 0.125 : 1;
      await optimizer.update(gradients, { learningRate, gradientScale });
      for (const [name, { data, shape }] of parameters) {
        const decay = shape.length > 1 ? (options.weightDecay ?? 0) : 0;
        const weights = expected.get(name)!;
        rules.get(name)!.forEach((rule, index) => {
          weights[index] = rule(weights[index]!, before.get(name)![index]! * gradientScale, learningRate, decay);
        });
        expect({ step, name, error: largestError(data, weights) }).toEqual({
          step,
          name,
          error: expect.toSatisfy((error: number) => error < tolerance),
        });
        expect(Array.from(gradients.get(name)!.data)).toEqual(before.get(name));
      }
    }
    expect(optimizer.step).toBe(6);
  });

  test.each([
    ["adamw", 0.5],
    ["rmsprop", 0.5],
  ] as const)("%s decays matrices only, even where the gradient is zero", async (name, weightDecay) => {
    const parameters = all(() => 1);
    const optimizer = new Optimizer(engine, { name, weightDecay }, parameters);
    await optimizer.update(
      all(() => 0),
      { learningRate: 0.5, gradientScale: 1 },
    );
    const decayed = Object.fromEntries([...parameters].map(([key, { data }]) => [key, [...new Set(data)]]));
    expect(decayed).toEqual({ matrix: [0.75], vector: [1], last: [0.75] });
  });

  test("states start at zero, one for each parameter, and continue where they were", async () => {
    const initial = all(signed);
    const copy = () =>
      new Map([...initial].map(([name, { shape, data }]) => [name, filled([...shape], (i) => data[i]!)]));
    const gradients = Array.from({ length: 4 }, () => all(signed));
    const options = { name: "adamw", weightDecay: 0.01 } as const;
    const rate = { learningRate: 0.1, gradientScale: 1 };

    const whole = copy();
    const first = new Optimizer(engine, options, whole);
    expect([...first.state].map(([name, { shape }]) => [name, shape])).toEqual(
      Object.entries(shapes).flatMap(([name, shape]) => [
        [`mean.${name}`, shape],
        [`variance.${name}`, shape],
      ]),
    );
    for (const { data } of first.state.values()) expect(new Set(data)).toEqual(new Set([0]));
    for (const gradient of gradients) await first.update(gradient, rate);

    const half = copy();
    const interrupted = new Optimizer(engine, options, half);
    for (const gradient of gradients.slice(0, 2)) await interrupted.update(gradient, rate);
    const resumed = new Optimizer(engine, options, half);
    resumed.step = interrupted.step;
    for (const [name, { data }] of interrupted.state) resumed.state.get(name)!.data.set(data);
    for (const gradient of gradients.slice(2)) await resumed.update(gradient, rate);
    for (const [name, { data }] of whole) expect(half.get(name)!.data).toEqual(data);
  });

  test.each([sliceElements - 1, sliceElements, sliceElements + 1, 2 * sliceElements + 3])(
    "a parameter of %d elements is updated to its end",
    async (length) => {
      // Weights, gradients and states differ from element to element, so that a slice out of place
      // would show.
      const initial = (index: number) => (index % 1001) / 1000;
      const slope = (index: number) => ((index % 997) - 498) / 100;
      const parameters = new Map([["long", filled([length, 1], initial)]]);
      const gradients = new Map([["long", filled([length, 1], slope)]]);
      const optimizer = new Optimizer(engine, { name: "rmsprop", decay: 0.75, weightDecay: 0.5 }, parameters);
      await optimizer.update(gradients, { learningRate: 0.25, gradientScale: 0.5 });
      const expected = (index: number) => {
        const [weight, gradient] = [Math.fround(initial(index)), Math.fround(slope(index)) * 0.5];
        return weight * 0.875 - (0.25 * gradient) / (Math.sqrt(0.25 * gradient ** 2) + 1e-8);
      };
      const { data } = parameters.get("long")!;
      expect(
        largestError(
          data,
          Float64Array.from({ length }, (_, index) => expected(index)),
        ),
      ).toBeLessThan(Math.max(tolerance, 1e-6));
      const state = optimizer.state.get("meanSquare.long")!.data;
      const squares = Float64Array.from({ length }, (_, index) => 0.25 * (slope(index) * 0.5) ** 2);
      expect(largestError(state, squares)).toBeLessThan(tolerance);
    },
  );

  test("the gradient's norm is over all parameters together, in all slices", async () => {
    const long = sliceElements + 5;
    const gradients = new Map([
      ["a", filled([long], (index) => (index % 2 === 0 ? 2 : -2))],
      ["b", filled([2, 2], () => 3)],
      ["c", filled([1], () => -8)],
    ]);
    const optimizer = new Optimizer(engine, { name: "adamw" }, gradients);
    const norm = Math.sqrt(long * 4 + 4 * 9 + 64);
    expect(await optimizer.gradientNorm(gradients)).toBeCloseTo(norm, 9);
    gradients.get("c")!.data[0] = Number.NaN;
    expect(await optimizer.gradientNorm(gradients)).toBeNaN();
  });

  test("scaling the gradient is the same as giving the scaled gradient", async () => {
    const run = async (factor: number, gradientScale: number) => {
      const parameters = new Map([["w", filled([2, 8], (index) => index / 8)]]);
      const optimizer = new Optimizer(engine, { name: "adamw" }, parameters);
      for (let step = 0; step < 3; step++) {
        const gradients = new Map([["w", filled([2, 8], (index) => factor * (index - step - 0.5))]]);
        await optimizer.update(gradients, { learningRate: 0.1, gradientScale });
      }
      return Array.from(parameters.get("w")!.data);
    };
    expect(await run(4, 0.25)).toEqual(await run(1, 1));
    expect(await run(4, 0.25)).not.toEqual(await run(1, 0));
  });
});
