import { describe, expect, test } from "vitest";
import { largestError, relativeError } from "../../../test/helpers/compare.ts";
import { engines } from "../../../test/helpers/engines.ts";
import { type FloatValue, integers } from "../../engine/engine.ts";
import { defineProgram } from "../../graph/program.ts";
import { backwardProgram, forwardProgram, gradientName } from "../../graph/section.ts";
import { input } from "../../graph/tensor.ts";
import type { StatisticUses } from "../../objectives/statistics.ts";
import { Random } from "../../random.ts";
import { statisticsOfLogits, tokenStatistics } from "./vocabulary.ts";

const divergences = ["klReferencePolicy", "klPolicyReference"] as const;
const statistics: StatisticUses = {
  klReferencePolicy: "gradient",
  klPolicyReference: "gradient",
  entropy: "gradient",
  logSumSquares: "gradient",
  othersLogp: "gradient",
};
const vocabularySize = 11;
const shapes = {
  policy: { vocabularySize, width: 4, headBias: "bias" },
  reference: { vocabularySize, width: 6, headBias: "bias" },
};
const rows = 5;

type Engine = (typeof engines)[number]["engine"];

function randomValue(engine: Engine, shape: number[], name: string, deviation: number): FloatValue {
  const random = Random.from(1, name);
  const value = engine.allocate(shape);
  value.data.forEach((_, index) => {
    value.data[index] = Math.fround(deviation * random.normal());
  });
  return value;
}

function randomInputs(engine: Engine, deviation: number) {
  return {
    hidden: randomValue(engine, [rows, shapes.policy.width], "hidden", deviation),
    head: randomValue(engine, [vocabularySize, shapes.policy.width], "head", deviation),
    "head bias": randomValue(engine, [vocabularySize], "bias", deviation),
    referenceHidden: randomValue(engine, [rows, shapes.reference.width], "reference hidden", deviation),
    referenceHead: randomValue(engine, [vocabularySize, shapes.reference.width], "reference head", deviation),
    "referenceHead bias": randomValue(engine, [vocabularySize], "reference bias", deviation),
    labels: integers([3, 0, 10, 3, 7]),
  };
}

type Inputs = ReturnType<typeof randomInputs>;

const policyOf = (inputs: Inputs) => logProbabilities(inputs.hidden, inputs.head, inputs["head bias"]);
const referenceOf = (inputs: Inputs) =>
  logProbabilities(inputs.referenceHidden, inputs.referenceHead, inputs["referenceHead bias"]);

/** log π(v) of each row by definition: logit - max - log Σ exp(logit - max). */
function logProbabilities(hidden: FloatValue, head: FloatValue, bias: FloatValue): number[][] {
  const width = hidden.shape[1]!;
  return Array.from({ length: rows }, (_, row) => {
    const logits = Array.from({ length: vocabularySize }, (_, token) =>
      Array.from({ length: width }, (_, k) => hidden.data[row * width + k]! * head.data[token * width + k]!).reduce(
        (a, b) => a + b,
        bias.data[token]!,
      ),
    );
    const largest = Math.max(...logits);
    const logSum = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
    return logits.map((logit) => logit - largest - logSum);
  });
}

const relativeEntropy = (p: number[], q: number[]) =>
  p.reduce((sum, logP, token) => sum + Math.exp(logP) * (logP - q[token]!), 0);

describe.each(engines)("in $precision", ({ engine, tolerance }) => {
  const section = tokenStatistics(shapes.policy, shapes.reference, { statistics });

  // Deviation 1 gives ordinary logits, 25 logits of ±800 and more.
  test.each([1, 25])("statistics by definition, weights of deviation %d", async (deviation) => {
    const inputs = randomInputs(engine, deviation);
    const actual = await engine.compile(forwardProgram(section, { save: false })).run(inputs);
    const policy = policyOf(inputs);
    const reference = referenceOf(inputs);
    if (deviation > 1) expect(Math.min(...policy.flat())).toBeLessThan(-1600);
    const labels = [...inputs.labels.data];
    const expected = {
      policyLogp: labels.map((label, row) => policy[row]![label]!),
      referenceLogp: labels.map((label, row) => reference[row]![label]!),
      klReferencePolicy: policy.map((row, index) => relativeEntropy(reference[index]!, row)),
      klPolicyReference: policy.map((row, index) => relativeEntropy(row, reference[index]!)),
      entropy: policy.map((row) => -row.reduce((sum, logP) => sum + Math.exp(logP) * logP, 0)),
      logSumSquares: policy.map((row) => Math.log(row.reduce((sum, logP) => sum + Math.exp(logP) ** 2, 0))),
      othersLogp: policy.map((row, index) =>
        row.reduce((sum, logP, token) => sum + (token === labels[index] ? 0 : Math.exp(logP) * logP), 0),
      ),
    };
    expect(Object.keys(actual)).toEqual(Object.keys(expected));
    for (const [name, values] of Object.entries(expected)) {
      expect(largestError(actual[name]!.data, values), name).toBeLessThan(tolerance);
    }
    expect(Math.min(...expected.klPolicyReference, ...expected.klReferencePolicy)).toBeGreaterThan(0);
  });

  test.each([1, 25])("the gradient equals its closed form, weights of deviation %d", async (deviation) => {
    const inputs = randomInputs(engine, deviation);
    const values = await engine.compile(forwardProgram(section, { save: true })).run(inputs);
    const weights = {
      ...{ policyLogp: 0.7, referenceLogp: 1, klReferencePolicy: -0.4, klPolicyReference: 0.3 },
      ...{ entropy: 0.2, logSumSquares: -0.6, othersLogp: 0.5 },
    };
    const cotangents = Object.entries(weights).map(([name, weight]) => {
      const value = engine.allocate([rows]);
      return [gradientName(name), { ...value, data: value.data.fill(weight) }];
    });
    const totals = ["head", "head bias"].map((name) => [
      gradientName(name),
      engine.zeros(inputs[name as "head" | "head bias"].shape),
    ]);
    const result = await engine
      .compile(backwardProgram(section))
      .run({ ...inputs, ...values, ...Object.fromEntries(cotangents), ...Object.fromEntries(totals) });
    // For the logits: d log π(y) = 1[v = y] - π, d KL(ref || π) = π - ref, d KL(π || ref) = π (log
    // π - log ref - KL(π || ref)), d entropy = -π (log π + entropy), d log Σπ² = 2 (π² / Σπ² - π),
    // and with constant c_v = π(v) for v ≠ y, and 0 for y, d Σ c log π = c - π Σc.
    const policy = policyOf(inputs);
    const reference = referenceOf(inputs);
    const ofLogits = policy.map((row, index) => {
      const kl = relativeEntropy(row, reference[index]!);
      const entropy = -row.reduce((sum, logP) => sum + Math.exp(logP) * logP, 0);
      const squares = row.reduce((sum, logP) => sum + Math.exp(logP) ** 2, 0);
      const others = 1 - Math.exp(row[inputs.labels.data[index]!]!);
      return row.map((logP, token) => {
        const [p, q] = [Math.exp(logP), Math.exp(reference[index]![token]!)];
        const label = Number(token === inputs.labels.data[index]);
        return (
          0.7 * (label - p) -
          0.4 * (p - q) +
          0.3 * p * (logP - reference[index]![token]! - kl) -
          0.2 * p * (logP + entropy) -
          0.6 * 2 * (p ** 2 / squares - p) +
          0.5 * ((1 - label) * p - p * others)
        );
      });
    });
    const { width } = shapes.policy;
    const ofHidden = ofLogits.flatMap((row) =>
      Array.from({ length: width }, (_, k) =>
        row.reduce((sum, value, token) => sum + value * inputs.head.data[token * width + k]!, 0),
      ),
    );
    const ofHead = Array.from({ length: vocabularySize * width }, (_, index) =>
      ofLogits.reduce(
        (sum, row, position) =>
          sum + row[Math.floor(index / width)]! * inputs.hidden.data[position * width + (index % width)]!,
        0,
      ),
    );
    const ofBias = Array.from({ length: vocabularySize }, (_, token) =>
      ofLogits.reduce((sum, row) => sum + row[token]!, 0),
    );
    // Log-probabilities around -1600 are 1e-4 apart in float32.
    const limit = deviation === 1 ? tolerance : 10 * tolerance;
    expect(relativeError(result[gradientName("hidden")]!.data, ofHidden)).toBeLessThan(limit);
    expect(relativeError(result[gradientName("head")]!.data, ofHead)).toBeLessThan(limit);
    expect(relativeError(result[gradientName("head bias")]!.data, ofBias)).toBeLessThan(limit);
  });

  test("equal models diverge by exactly nothing", async () => {
    const { hidden, head, "head bias": bias, labels } = randomInputs(engine, 1);
    const same = tokenStatistics(shapes.policy, shapes.policy, { statistics });
    const compared = { referenceHidden: hidden, referenceHead: head, "referenceHead bias": bias };
    const inputs = { hidden, head, "head bias": bias, labels, ...compared };
    const values = await engine.compile(forwardProgram(same, { save: false })).run(inputs);
    for (const divergence of divergences) expect([...values[divergence]!.data]).toEqual(Array(rows).fill(0));
    expect(values.policyLogp!.data).toEqual(values.referenceLogp!.data);
  });
});

test("only what is needed is computed", () => {
  const outputs = (reference: typeof shapes.reference | undefined, uses: StatisticUses) => {
    const { outputs: named, saved } = tokenStatistics(shapes.policy, reference, { statistics: uses });
    return [Object.keys(named), Object.keys(saved)];
  };
  expect(outputs(undefined, {})).toEqual([["policyLogp"], ["policy"]]);
  expect(outputs(shapes.reference, {})).toEqual([["policyLogp", "referenceLogp"], ["policy"]]);
  expect(outputs(shapes.reference, { klPolicyReference: "gradient" })).toEqual([
    ["policyLogp", "referenceLogp", "klPolicyReference"],
    ["policy", "reference"],
  ]);
  // What is constant needs nothing saved; without a reference nothing is compared with it.
  expect(outputs(shapes.reference, { klPolicyReference: "constant", entropy: "gradient" })).toEqual([
    ["policyLogp", "referenceLogp", "klPolicyReference", "entropy"],
    ["policy"],
  ]);
  expect(outputs(undefined, { klPolicyReference: "gradient", entropy: "constant" })).toEqual([
    ["policyLogp", "entropy"],
    ["policy"],
  ]);
});

test("a head that does not train is constant, its bias too", () => {
  const { constants, parameters } = tokenStatistics(shapes.policy, undefined, { frozenHead: true });
  expect(Object.keys(constants)).toEqual(["labels", "head", "head bias"]);
  expect(parameters).toEqual({});
  expect(Object.keys(tokenStatistics(shapes.policy, undefined, {}).parameters)).toEqual(["head", "head bias"]);
});

test("the divergence of close models survives float32", async () => {
  const [rowCount, vocabularySize] = [32, 8000];
  const policyLogits = input(["rows", vocabularySize]);
  const referenceLogits = input(["rows", vocabularySize]);
  const labels = input(["rows"], "int");
  const { outputs } = statisticsOfLogits(labels, policyLogits, referenceLogits, statistics);
  const program = defineProgram("close", { policyLogits, referenceLogits, labels }, outputs);
  const random = Random.from(1, "close");
  const policy = Float32Array.from({ length: rowCount * vocabularySize }, () => 0.6 * random.normal());
  const reference = policy.map((logit) => logit + 0.015 * random.normal());
  const [exact, single] = await Promise.all(
    engines.map(({ engine }) => {
      const value = (data: Float32Array) => ({
        shape: [rowCount, vocabularySize],
        data: engine.precision === "float64" ? Float64Array.from(data) : data,
      });
      const inputs = { policyLogits: value(policy), referenceLogits: value(reference) };
      return engine.compile(program).run({ ...inputs, labels: integers(new Array(rowCount).fill(0)) });
    }),
  );
  for (const divergence of divergences) {
    // About 1e-4 nats each; summed as p (log p - log q) alone they would be off by 1e-3 and more.
    exact![divergence]!.data.forEach((kl, row) => {
      expect(Math.abs(single![divergence]!.data[row]! / kl - 1)).toBeLessThan(5e-5);
    });
  }
});
