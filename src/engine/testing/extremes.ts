import { expect, test } from "vitest";
import { gradients } from "../../graph/gradient.ts";
import { exp, multiply, sigmoid, softplus, subtract } from "../../graph/ops/elementwise.ts";
import { pick } from "../../graph/ops/indexing.ts";
import { sum } from "../../graph/ops/reduce.ts";
import { logSoftmax, softmax } from "../../graph/ops/softmax.ts";
import { input } from "../../graph/tensor.ts";
import { largestError } from "../../graph/testing/values.ts";
import { type Engine, integers } from "../engine.ts";
import { arrayOf, randomIn, runOnce, valueIn, vectorIn } from "./values.ts";

/** Tests that logits far from zero give what mathematics says, and nothing infinite. */
export function testExtremes(engine: Engine): void {
  test("softmax and logSoftmax of logits of ±800, and their gradients", async () => {
    const x = valueIn(engine, {
      shape: [4, 3],
      data: Float64Array.from([800, -800, 0, -800, -800, -800, 800, 800, 800, 800, 800, -800]),
    });
    const dy = valueIn(engine, {
      shape: [4, 3],
      data: Float64Array.from([1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]),
    });
    const [logits, cotangent] = [input(["n", 3]), input(["n", 3])];
    const [probabilities, logp] = [softmax(logits), logSoftmax(logits)];
    const results = await runOnce(
      engine,
      { logits, cotangent },
      {
        probabilities,
        logp,
        probabilityGradient: gradients([[probabilities, cotangent]], [logits])[0]!,
        logpGradient: gradients([[logp, cotangent]], [logits])[0]!,
      },
      { logits: x, cotangent: dy },
    );
    const third = 1 / 3;
    const expected = {
      probabilities: [1, 0, 0, third, third, third, third, third, third, 0.5, 0.5, 0],
      logp: [
        ...[0, -1600, -800],
        ...new Array<number>(6).fill(-Math.log(3)),
        ...[-Math.log(2), -Math.log(2), -1600 - Math.log(2)],
      ],
      // p (dy - p·dy)
      probabilityGradient: [0, 0, 0, -third, 0, third, -third, 0, third, -0.25, 0.25, 0],
      // dy - p Σ dy
      logpGradient: [-5, 2, 3, -1, 0, 1, -1, 0, 1, -2, -1, 3],
    };
    for (const [name, values] of Object.entries(expected)) {
      expect({ name, error: largestError(results[name]!.data, values) }).toEqual({ name, error: expect.closeTo(0, 6) });
    }
    expect(results.logp!.data[1]).toBe(-1600);
  });

  test("softplus and sigmoid of ±800, and their gradients", async () => {
    const [x, one] = [input(["n"]), input(["n"])];
    const values = { x: vectorIn(engine, 800, 100, 0, -100, -800), one: vectorIn(engine, 1, 1, 1, 1, 1) };
    const outputs = { softplus: softplus(x), sigmoid: sigmoid(x) };
    const [softplusGradient, sigmoidGradient] = Object.values(outputs).map((y) => gradients([[y, one]], [x])[0]!);
    const all = { ...outputs, softplusGradient: softplusGradient!, sigmoidGradient: sigmoidGradient! };
    const results = await runOnce(engine, { x, one }, all, values);
    const expected = {
      softplus: [800, 100, Math.LN2, 0, 0],
      sigmoid: [1, 1, 0.5, 0, 0],
      softplusGradient: [1, 1, 0.5, 0, 0],
      sigmoidGradient: [0, 0, 0.25, 0, 0],
    };
    for (const [name, values] of Object.entries(expected)) {
      expect({ name, error: largestError(results[name]!.data, values) }).toEqual({ name, error: expect.closeTo(0, 6) });
    }
  });

  test("the divergence of a distribution from itself is exactly 0, even at ±800", async () => {
    const [a, b, dy, labels] = [input(["n", 50]), input(["n", 50]), input(["n"]), input(["n"], "int")];
    const [p, q] = [logSoftmax(a), logSoftmax(b)];
    const divergence = sum(multiply(exp(p), subtract(p, q)), [-1]);
    const ratio = subtract(pick(p, labels), pick(q, labels));
    const [da, db] = gradients([[divergence, dy]], [a, b]);
    const logits = randomIn(engine, { a }, { lengths: { n: 6 }, range: [-800, 800] }).a!;
    const values = {
      a: logits,
      b: logits,
      dy: vectorIn(engine, 1, 1, 1, 1, 1, 1),
      labels: integers([0, 1, 2, 3, 4, 49]),
    };
    const results = await runOnce(engine, { a, b, dy, labels }, { divergence, ratio, da: da!, db: db! }, values);
    expect(arrayOf(results.divergence!)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(arrayOf(results.ratio!)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(largestError(results.da!.data, new Float64Array(300))).toBeLessThan(1e-6);
    expect(largestError(results.db!.data, new Float64Array(300))).toBeLessThan(1e-6);
  });
}
