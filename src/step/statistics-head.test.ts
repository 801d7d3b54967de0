import { describe, expect, test } from "vitest";
import { largestError, relativeError } from "../../test/helpers/compare.ts";
import { engines } from "../../test/helpers/engines.ts";
import { headModel, identityHead, labelled } from "../../test/helpers/head.ts";
import { type FloatValue, upload } from "../engine/engine.ts";
import { scale, sigmoid } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { StatisticUses } from "../objectives/statistics.ts";
import { Random } from "../random.ts";
import { defaultHeadSizes, type HeadSizes, StatisticsHead } from "./statistics-head.ts";

const divergences = ["klReferencePolicy", "klPolicyReference"] as const;
const statistics: StatisticUses = {
  klReferencePolicy: "gradient",
  klPolicyReference: "gradient",
  entropy: "gradient",
  logSumSquares: "gradient",
  othersLogp: "gradient",
};
const labels = [3, 0, 10, 3, 7];
const [rows, vocabularySize, width, referenceWidth] = [labels.length, 11, 4, 6];

/** Tiles of so many words, of which the first are kept. */
const tilesOf = (words: number, kept = 0): HeadSizes => ({ entries: rows, tile: rows * words, kept });

/** All words together; tiles of which some are kept; the last one smaller; one for each word. */
const sizes: readonly (readonly [string, HeadSizes])[] = [
  ["one tile", { ...defaultHeadSizes, kept: 0 }],
  ["one tile that is kept", defaultHeadSizes],
  ["tiles of 4, 4 and 3 words, one of them kept", tilesOf(4, 2 * 4 * rows)],
  ["tiles of 6 and 5 words", tilesOf(6)],
  ["a tile for each word", tilesOf(1)],
];

type Engine = (typeof engines)[number]["engine"];

function randomValue(engine: Engine, shape: number[], name: string, deviation: number): FloatValue {
  const random = Random.from(1, name);
  const count = shape.reduce((product, length) => product * length, 1);
  return upload(
    engine,
    shape,
    Float32Array.from({ length: count }, () => deviation * random.normal()),
  );
}

function randomModels(engine: Engine, deviation: number, { finishLogits }: { finishLogits?: typeof capped } = {}) {
  const weight = randomValue(engine, [vocabularySize, width], "head", deviation);
  const bias = randomValue(engine, [vocabularySize], "bias", deviation);
  const referenceWeight = randomValue(engine, [vocabularySize, referenceWidth], "reference head", deviation);
  const referenceBias = randomValue(engine, [vocabularySize], "reference bias", deviation);
  const states = {
    hidden: randomValue(engine, [rows, width], "hidden", deviation),
    reference: randomValue(engine, [rows, referenceWidth], "reference hidden", deviation),
  };
  return {
    states,
    policy: headModel(weight, { bias, trains: true, finishLogits }),
    reference: headModel(referenceWeight, { bias: referenceBias }),
    logitsOfPolicy: logitsOf(states.hidden, weight, bias),
    logitsOfReference: logitsOf(states.reference, referenceWeight, referenceBias),
  };
}

function logitsOf({ shape, data }: FloatValue, weight: FloatValue, bias: FloatValue): number[][] {
  const columns = shape[1]!;
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: vocabularySize }, (_, token) =>
      Array.from({ length: columns }, (_, k) => data[row * columns + k]! * weight.data[token * columns + k]!).reduce(
        (a, b) => a + b,
        bias.data[token]!,
      ),
    ),
  );
}

/** log π(v) by definition: logit - max - log Σ exp(logit - max). */
function logProbabilities(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const logSum = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
  return logits.map((logit) => logit - largest - logSum);
}

const relativeEntropy = (p: number[], q: number[]) =>
  p.reduce((sum, logP, token) => sum + Math.exp(logP) * (logP - q[token]!), 0);

const capped = (product: Tensor) => scale(sigmoid(product), 4);

/** Statistics, and the gradients for weighted ones of hidden states, matrix and bias. */
async function compute(engine: Engine, models: ReturnType<typeof randomModels>, headSizes: HeadSizes) {
  const { policy, reference, states } = models;
  const head = new StatisticsHead({ engine, policy, reference, headSizes }, statistics);
  const { batch, range } = labelled(labels);
  const pass = await head.forward(batch, range, states, { save: true });
  const cotangents = Object.fromEntries(
    Object.entries(weights).map(([name, weight]) => [name, new Float64Array(rows).fill(weight)]),
  );
  const hiddenGradient = engine.zeros([rows, width]);
  const totals = new Map(Array.from(policy.parameters, ([name, { shape }]) => [name, engine.zeros(shape)]));
  await head.backward(pass, cotangents, hiddenGradient, totals);
  return { statistics: pass.statistics, hiddenGradient, ofHead: totals.get("head")!, ofBias: totals.get("bias")! };
}

const weights = {
  ...{ policyLogp: 0.7, referenceLogp: 1, klReferencePolicy: -0.4, klPolicyReference: 0.3 },
  ...{ entropy: 0.2, logSumSquares: -0.6, othersLogp: 0.5 },
};

describe.each(engines)("in $precision", ({ engine, precision, tolerance }) => {
  // Deviation 1 gives ordinary logits, 25 logits of ±800 and more.
  const cases = sizes.flatMap(([name, headSizes]) => [1, 25].map((deviation) => [name, deviation, headSizes] as const));

  test.each(cases)("statistics by definition, in %s, weights of deviation %d", async (_, deviation, headSizes) => {
    const models = randomModels(engine, deviation);
    const policy = models.logitsOfPolicy.map(logProbabilities);
    const reference = models.logitsOfReference.map(logProbabilities);
    if (deviation > 1) expect(Math.min(...policy.flat())).toBeLessThan(-1600);
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
    const { statistics: actual } = await compute(engine, models, headSizes);
    expect(Object.keys(actual)).toEqual(Object.keys(expected));
    for (const [name, values] of Object.entries(expected)) {
      expect(largestError(actual[name]!, values), name).toBeLessThan(tolerance);
    }
    expect(Math.min(...expected.klPolicyReference, ...expected.klReferencePolicy)).toBeGreaterThan(0);
  });

  test.each(cases)("the gradient's closed form, in %s, weights of deviation %d", async (_, deviation, headSizes) => {
    const models = randomModels(engine, deviation);
    const policy = models.logitsOfPolicy.map(logProbabilities);
    const reference = models.logitsOfReference.map(logProbabilities);
    // For the logits: d log π(y) = 1[v = y] - π, d KL(ref || π) = π - ref, d KL(π || ref) = π (log
    // π - log ref - KL(π || ref)), d entropy = -π (log π + entropy), d log Σπ² = 2 (π² / Σπ² - π),
    // and with constant c_v = π(v) for v ≠ y, and 0 for y, d Σ c log π = c - π Σc.
    const ofLogits = policy.map((row, index) => {
      const kl = relativeEntropy(row, reference[index]!);
      const entropy = -row.reduce((sum, logP) => sum + Math.exp(logP) * logP, 0);
      const squares = row.reduce((sum, logP) => sum + Math.exp(logP) ** 2, 0);
      const others = 1 - Math.exp(row[labels[index]!]!);
      return row.map((logP, token) => {
        const [p, q] = [Math.exp(logP), Math.exp(reference[index]![token]!)];
        const label = Number(token === labels[index]);
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
    const [weight, hidden] = [models.policy.parameters.get("head")!, models.states.hidden];
    const ofHidden = ofLogits.flatMap((row) =>
      Array.from({ length: width }, (_, k) =>
        row.reduce((sum, value, token) => sum + value * weight.data[token * width + k]!, 0),
      ),
    );
    const ofHead = Array.from({ length: vocabularySize * width }, (_, index) =>
      ofLogits.reduce(
        (sum, row, position) =>
          sum + row[Math.floor(index / width)]! * hidden.data[position * width + (index % width)]!,
        0,
      ),
    );
    const ofBias = Array.from({ length: vocabularySize }, (_, token) =>
      ofLogits.reduce((sum, row) => sum + row[token]!, 0),
    );
    // Log-probabilities around -1600 are 1e-4 apart in float32.
    const limit = deviation === 1 ? tolerance : 10 * tolerance;
    const actual = await compute(engine, models, headSizes);
    expect(relativeError(actual.hiddenGradient.data, ofHidden)).toBeLessThan(limit);
    expect(relativeError(actual.ofHead.data, ofHead)).toBeLessThan(limit);
    expect(relativeError(actual.ofBias.data, ofBias)).toBeLessThan(limit);
  });

  test.each(sizes.slice(1))("%s and one tile agree, logits capped", async (_, headSizes) => {
    const models = randomModels(engine, 2, { finishLogits: capped });
    const [actual, whole] = [await compute(engine, models, headSizes), await compute(engine, models, sizes[0]![1])];
    const limit = precision === "float64" ? 1e-12 : tolerance;
    for (const [name, values] of Object.entries(whole.statistics))
      expect(largestError(actual.statistics[name]!, values), name).toBeLessThan(limit);
    for (const name of ["hiddenGradient", "ofHead", "ofBias"] as const)
      expect(relativeError(actual[name].data, whole[name].data), name).toBeLessThan(limit);
  });

  test.each(sizes)("equal models diverge by exactly nothing, in %s", async (_, headSizes) => {
    const { policy, states } = randomModels(engine, 1);
    const head = new StatisticsHead({ engine, policy, reference: policy, headSizes }, statistics);
    const { batch, range } = labelled(labels);
    const same = { hidden: states.hidden, reference: states.hidden };
    const { statistics: values } = await head.forward(batch, range, same, { save: false });
    for (const divergence of divergences) expect([...values[divergence]!]).toEqual(Array(rows).fill(0));
    expect(values.policyLogp).toEqual(values.referenceLogp);
  });

  test("one entry alone, of a range within a batch", async () => {
    const models = randomModels(engine, 1);
    const { policy, reference, states } = models;
    const head = new StatisticsHead({ engine, policy, reference, headSizes: tilesOf(1) }, statistics);
    const { batch, range } = labelled(labels);
    const all = await head.forward(batch, range, states, { save: false });
    const one = await head.forward(batch, { start: 2, end: 3 }, states, { save: false });
    for (const [name, values] of Object.entries(one.statistics))
      expect(largestError(values, [all.statistics[name]![2]!]), name).toBeLessThan(tolerance);
  });

  test("a head that does not train has no gradient", async () => {
    const { policy, reference, states } = randomModels(engine, 1);
    const frozen = { ...policy, trainable: new Map() };
    const { batch, range } = labelled(labels);
    const gradients = await Promise.all(
      [policy, frozen].map(async (model) => {
        const head = new StatisticsHead({ engine, policy: model, reference, headSizes: tilesOf(4) }, statistics);
        const pass = await head.forward(batch, range, states, { save: true });
        const totals = new Map(Array.from(model.trainable, ([name, { shape }]) => [name, engine.zeros(shape)]));
        const hiddenGradient = engine.zeros([rows, width]);
        const ones = head.names.map((name) => [name, new Float64Array(rows).fill(1)]);
        await head.backward(pass, Object.fromEntries(ones), hiddenGradient, totals);
        return hiddenGradient.data;
      }),
    );
    expect(gradients[1]).toEqual(gradients[0]);
  });
});

test("only what is needed is computed and kept", async () => {
  const [{ engine }] = engines;
  const { policy, reference, states } = randomModels(engine, 1);
  const { batch, range } = labelled(labels);
  const computed = async (compared: typeof reference | undefined, uses: StatisticUses) => {
    const head = new StatisticsHead({ engine, policy, reference: compared }, uses);
    const inputs = { ...states, reference: compared && states.reference };
    const pass = await head.forward(batch, range, inputs, { save: true });
    expect(Object.keys(pass.statistics)).toEqual(head.names);
    return [head.names, pass.saved.distributions.flatMap(Object.keys)];
  };
  const [own, other] = ["policy words", "reference words"];
  expect(await computed(undefined, {})).toEqual([["policyLogp"], [own]]);
  expect(await computed(reference, {})).toEqual([["policyLogp", "referenceLogp"], [own]]);
  expect(await computed(reference, { klPolicyReference: "gradient" })).toEqual([
    ["policyLogp", "referenceLogp", "klPolicyReference"],
    [own, other],
  ]);
  // What is constant needs nothing saved; without a reference nothing is compared with it.
  expect(await computed(reference, { klPolicyReference: "constant", entropy: "gradient" })).toEqual([
    ["policyLogp", "referenceLogp", "klPolicyReference", "entropy"],
    [own],
  ]);
  expect(await computed(undefined, { klPolicyReference: "gradient", entropy: "constant" })).toEqual([
    ["policyLogp", "entropy"],
    [own],
  ]);
});

test("distributions are kept up to a limit, and not where no backward pass comes", async () => {
  const [{ engine }] = engines;
  const { policy, states } = randomModels(engine, 1);
  const { batch, range } = labelled(labels);
  const kept = async (headSizes: HeadSizes, save: boolean) => {
    const head = new StatisticsHead({ engine, policy, reference: undefined, headSizes }, {});
    const pass = await head.forward(batch, range, { ...states, reference: undefined }, { save });
    return pass.saved.distributions.map((values) => values["policy words"]!.shape);
  };
  const tiles = [4, 4, 3].map((words) => [rows, words]);
  expect(await kept(tilesOf(4, 1000), true)).toEqual(tiles);
  expect(await kept(tilesOf(4, 8 * rows), true)).toEqual(tiles.slice(0, 2));
  expect(await kept(tilesOf(4, 8 * rows - 1), true)).toEqual(tiles.slice(0, 1));
  expect(await kept(tilesOf(4, 1000), false)).toEqual([]);
});

test.each([2000, 300])("the divergence of close models survives float32, in tiles of %d words", async (words) => {
  const [count, vocabulary] = [32, 2000];
  const random = Random.from(1, "close");
  const policyLogits = Float32Array.from({ length: count * vocabulary }, () => 0.6 * random.normal());
  const referenceLogits = policyLogits.map((logit) => logit + 0.015 * random.normal());
  const [exact, single] = await Promise.all(
    engines.map(async ({ engine }) => {
      const states = {
        hidden: upload(engine, [count, vocabulary], policyLogits),
        reference: upload(engine, [count, vocabulary], referenceLogits),
      };
      const model = identityHead(engine, vocabulary);
      const headSizes = { entries: count, tile: count * words, kept: 0 };
      const head = new StatisticsHead({ engine, policy: model, reference: model, headSizes }, statistics);
      const { batch, range } = labelled(new Array(count).fill(0));
      return (await head.forward(batch, range, states, { save: false })).statistics;
    }),
  );
  for (const divergence of divergences) {
    // About 1e-4 nats each; summed as p (log p - log q) alone they would be off by 1e-3 and more.
    exact![divergence]!.forEach((kl, row) => {
      expect(Math.abs(single![divergence]![row]! / kl - 1)).toBeLessThan(5e-5);
    });
  }
});
