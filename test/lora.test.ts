/**
 * Adapters on frozen models: their mathematics, against finite differences and against models that
 * the adapter was merged into.
 */
import { describe, expect, test } from "vitest";
import { packBatch } from "../src/data/batch.ts";
import type { Engine, FloatValue } from "../src/engine/engine.ts";
import { float64Engine } from "../src/engine/float64.ts";
import { architectureOf } from "../src/families/registry.ts";
import { interpret } from "../src/graph/interpreter.ts";
import { dequantize, quantize } from "../src/graph/ops/storage.ts";
import { defineProgram } from "../src/graph/program.ts";
import { input, type StorageFormat, type Value } from "../src/graph/tensor.ts";
import { AdapterDropout } from "../src/models/adapter-dropout.ts";
import type { LanguageModel } from "../src/models/language-model.ts";
import { adapterNames, adapterShapes, type LoraSettings, loraScale } from "../src/models/lora.ts";
import { scalesName } from "../src/models/parameters.ts";
import { Transformer } from "../src/models/transformer.ts";
import { toBfloat16 } from "../src/number-formats.ts";
import { createObjective } from "../src/objectives/index.ts";
import { Random } from "../src/random.ts";
import { Learner } from "../src/step/learner.ts";
import { beforeTraining } from "../src/storage/load-model.ts";
import { largestDifference, worstGradient } from "./helpers/compare.ts";
import { engines } from "./helpers/engines.ts";
import { logitsOf, sequenceBatch } from "./helpers/logits.ts";
import { variance } from "./helpers/objectives.ts";
import { randomExamples, tinyConfiguration, tinyModel, zeroGradients } from "./helpers/tiny.ts";

const configuration = tinyConfiguration({ attention_bias: true, mlp_bias: true });
const all = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
const settings: LoraSettings = { rank: 3, alpha: 6, dropout: 0, rslora: false, targetModules: all };
const examples = randomExamples(4, [
  [3, 4, 2],
  [2, 1, 3],
  [1, 5, 4],
]);
const isBlockMatrix = (name: string, { shape }: Value) => shape.length === 2 && name.startsWith("model.layers.");

/** The tiny model of a seed with a random adapter, its base kept in some format. */
function adapted(
  engine: Engine,
  lora: LoraSettings,
  { format = "float", zeroB = false }: { format?: StorageFormat | "float"; zeroB?: boolean } = {},
): LanguageModel {
  const { parameters } = tinyModel(engine, configuration, 5);
  const weights = new Map<string, Value>();
  for (const [name, value] of parameters) {
    if (format === "float" || !isBlockMatrix(name, value)) weights.set(name, value);
    else if (format === "int4") {
      const { packed, scales } = quantize(value);
      weights.set(name, packed);
      weights.set(scalesName(name), inEngine(engine, scales));
    } else weights.set(name, { shape: value.shape, data: halves(value), format });
  }
  const adapter = new Map<string, FloatValue>();
  for (const [name, shape] of adapterShapes(architectureOf(configuration), lora)) {
    const random = Random.from(8, name);
    const value = engine.allocate(shape);
    for (let index = 0; index < value.data.length; index++) {
      value.data[index] = zeroB && name.includes("lora_B") ? 0 : Math.fround(0.3 * random.normal());
    }
    adapter.set(name, value);
  }
  const transformer = new Transformer(
    engine,
    architectureOf(configuration, { matrices: format, trained: lora, dropout: false }),
  );
  return {
    ...{ configuration, transformer, parameters: new Map([...weights, ...adapter]), trainable: adapter, memory: [] },
    adapter: { lora, base: "base" },
  };
}

function inEngine(engine: Engine, { shape, data }: Value): FloatValue {
  const value = engine.allocate(shape);
  value.data.set(data);
  return value;
}

function halves({ data }: Value): Uint16Array {
  const bits = new Uint16Array(data.length);
  toBfloat16(Float32Array.from(data), bits);
  return bits;
}

/** The whole model that an adapted one stands for: `W + scale B A`. */
function merged(engine: Engine, { parameters, trainable, adapter }: LanguageModel): LanguageModel {
  const whole = tinyModel(engine, configuration, 5);
  const { lora } = adapter!;
  for (const [name, weight] of whole.trainable) {
    const stored = parameters.get(name)!;
    weight.data.set(plainNumbers(stored, parameters.get(scalesName(name))));
    const { a, b } = adapterNames(name);
    const [first, second] = [trainable.get(a), trainable.get(b)];
    if (!first || !second) continue;
    const [outputs, inputs] = weight.shape as [number, number];
    for (let row = 0; row < outputs; row++) {
      for (let column = 0; column < inputs; column++) {
        for (let r = 0; r < lora.rank; r++) {
          weight.data[row * inputs + column]! +=
            loraScale(lora) * second.data[row * lora.rank + r]! * first.data[r * inputs + column]!;
        }
      }
    }
  }
  return whole;
}

function plainNumbers(stored: Value, scales: Value | undefined): ArrayLike<number> {
  if (stored.format === "bfloat16")
    return Float32Array.from(stored.data, (bits) => new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!);
  if (stored.format !== "int4") return stored.data;
  const [q, s] = [input(stored.shape, "int4"), input(scales!.shape)];
  return interpret(defineProgram("numbers", { q, s }, { y: dequantize(q, s) }), { q: stored, s: scales! }).y!.data;
}

const objective = createObjective({ name: "tdpo2", beta: 0.3, alpha: 0.5 });

describe.each(engines)("in $precision", ({ engine, tolerance }) => {
  const batch = sequenceBatch([1, 5, 2, 8, 3, 3, 7]);

  test.each([
    ["every layer", settings],
    ["two layers", { ...settings, targetModules: ["q_proj", "down_proj"] }],
    ["scaled by the root of the rank", { ...settings, rslora: true }],
  ])("an adapter on %s says what the merged model says", async (_, lora) => {
    const model = adapted(engine, lora);
    const expected = await logitsOf(engine, merged(engine, model), batch);
    const base = await logitsOf(engine, tinyModel(engine, configuration, 5), batch);
    const actual = await logitsOf(engine, model, batch);
    expect(largestDifference(actual.flat(), expected.flat())).toBeLessThan(100 * tolerance);
    expect(largestDifference(actual.flat(), base.flat())).toBeGreaterThan(0.1);
  });

  test.each(["bfloat16", "int4"] as const)("so does one on a base of %s", async (format) => {
    const model = adapted(engine, settings, { format });
    const expected = await logitsOf(engine, merged(engine, model), batch);
    expect(largestDifference((await logitsOf(engine, model, batch)).flat(), expected.flat())).toBeLessThan(
      100 * tolerance,
    );
  });

  test.each(["float", "int4"] as const)(
    "a new adapter changes nothing: no log-ratio, no divergence (%s)",
    async (format) => {
      const policy = adapted(engine, settings, { format, zeroB: true });
      const reference = await beforeTraining(engine, policy, { path: "base" } as Parameters<typeof beforeTraining>[2]);
      const scored = await new Learner({ engine, policy, reference, objective }).evaluate(packBatch(examples));
      for (const { outcome, responses } of scored) {
        expect(outcome.loss).toBeCloseTo(Math.log(2), 5);
        for (const { policyLogp, referenceLogp } of responses)
          expect(largestDifference(policyLogp!, referenceLogp!)).toBeLessThan(tolerance);
      }
    },
  );

  test.each([
    ["without dropout", settings],
    ["with dropout", { ...settings, dropout: 0.3 }],
  ])("microbatches and recomputed activations give the same gradient, %s", async (_, lora) => {
    const policy = adapted(engine, lora);
    const reference = tinyModel(engine, configuration, 6);
    const gradients = async (sizes: number[], activationCheckpointing: boolean) => {
      const learner = new Learner({ engine, policy, reference, objective, activationCheckpointing, seed: 3 });
      const totals = zeroGradients(engine, policy);
      let firstExample = 0;
      for (const size of sizes) {
        const part = packBatch(examples.slice(firstExample, firstExample + size));
        await learner.accumulate(part, 1, totals, { step: 2, firstExample });
        firstExample += size;
      }
      return totals;
    };
    const whole = await gradients([3], false);
    expect(worstGradient(await gradients([1, 2], false), whole).error).toBeLessThan(tolerance);
    expect(worstGradient(await gradients([3], true), whole).error).toBe(0);
  });
});

describe("dropout", () => {
  const engine = float64Engine();
  const policy = adapted(engine, { ...settings, dropout: 0.4 });
  const reference = tinyModel(engine, configuration, 6);
  const lossOf = async (place: { step: number; firstExample: number }, seed = 3) => {
    const learner = new Learner({ engine, policy, reference, objective, seed });
    const scored = await learner.accumulate(packBatch(examples), 1, zeroGradients(engine, policy), place);
    return scored.reduce((sum, { outcome }) => sum + outcome.loss, 0);
  };

  test("a step that is judged as a whole is computed twice under the same masks", async () => {
    const learner = new Learner({ engine, policy, reference, objective: variance.create(), seed: 3 });
    const batch = packBatch(examples);
    const place = { step: 1, firstExample: 2 };
    const scored = await learner.scoreForStep(batch, place);
    const { outcomes } = await learner.judgeStep(scored, place.step, {});
    const judged = await learner.accumulate(batch, 1, zeroGradients(engine, policy), place, { outcomes });
    expect(judged.map(({ responses }) => responses)).toEqual(scored.map(({ responses }) => responses));
    expect(judged.map(({ responses }) => responses)).not.toEqual(
      (await learner.scorer.score(batch)).map(({ responses }) => responses),
    );
  });

  test("follows from seed, step and place, and is gone in evaluation", async () => {
    const place = { step: 1, firstExample: 0 };
    const first = await lossOf(place);
    expect(await lossOf(place)).toBe(first);
    expect(await lossOf({ ...place, step: 2 })).not.toBe(first);
    expect(await lossOf({ ...place, firstExample: 1 })).not.toBe(first);
    expect(await lossOf(place, 4)).not.toBe(first);
    const undropped = adapted(engine, settings);
    const evaluated = async (model: LanguageModel) =>
      (await new Learner({ engine, policy: model, reference, objective }).evaluate(packBatch(examples))).map(
        ({ outcome }) => outcome.loss,
      );
    expect(await evaluated(policy)).toEqual(await evaluated(undropped));
  });

  test("hides the share it is asked to, differently in every module", () => {
    const batch = packBatch(examples);
    const masks = new AdapterDropout(engine, batch, { share: 0.4, seed: 1, step: 0, firstExample: 0 });
    const seen = ["queryMask", "keyMask"].map((name) => masks.mask(0, name, 2000).data);
    for (const data of seen) {
      expect(new Set(data)).toEqual(new Set([0, 1 / 0.6]));
      expect(data.filter((value) => value === 0).length / data.length).toBeCloseTo(0.4, 2);
    }
    const both = seen[0]!.filter((value, index) => value === 0 && seen[1]![index] === 0).length;
    expect(both / seen[0]!.length).toBeCloseTo(0.16, 2);
  });

  test("is the same for a token of the prompt whatever answers follow", () => {
    const [first] = examples;
    const mask = (responses: (typeof examples)[0]["responses"]) => {
      const batch = packBatch([{ ...first!, responses }]);
      const dropout = new AdapterDropout(engine, batch, { share: 0.5, seed: 1, step: 0, firstExample: 0 });
      return dropout.mask(1, "gateMask", 8).data.slice(0, first!.prompt.length * 8);
    };
    expect(mask([])).toEqual(mask(first!.responses));
  });
});

describe("the adapter's gradient agrees with finite differences", () => {
  const engine = float64Engine();
  test.each([
    ["on floats", settings, "float"],
    ["with dropout", { ...settings, dropout: 0.4, rslora: true }, "float"],
    ["on the MLP alone", { ...settings, targetModules: ["down_proj"] }, "float"],
    ["on 4 bits", { ...settings, targetModules: ["k_proj", "up_proj"] }, "int4"],
  ] as const)("%s", async (_, lora, format) => {
    const policy = adapted(engine, lora, { format });
    const reference = tinyModel(engine, configuration, 6);
    // DPO: no gradient is stopped, so that the loss is what is differentiated.
    const learner = new Learner({
      engine,
      policy,
      reference,
      objective: createObjective({ name: "dpo", beta: 0.3 }),
      seed: 3,
    });
    const batch = packBatch(examples);
    const gradients = zeroGradients(engine, policy);
    await learner.accumulate(batch, 1, gradients);
    const loss = async () => {
      const scored = await learner.accumulate(batch, 1, zeroGradients(engine, policy));
      return scored.reduce((sum, { outcome }) => sum + outcome.loss, 0);
    };
    const random = Random.from(1, "indices");
    for (const [name, { data }] of policy.trainable) {
      const gradient = gradients.get(name)!.data;
      const largest = Math.max(...gradient.map(Math.abs));
      const index = random.integer(data.length);
      const [weight, step] = [data[index]!, 1e-5];
      data[index] = weight + step;
      const above = await loss();
      data[index] = weight - step;
      const below = await loss();
      data[index] = weight;
      expect(Math.abs((above - below) / (2 * step) - gradient[index]!) / largest, name).toBeLessThan(1e-6);
    }
  });
});
