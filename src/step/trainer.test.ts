import { describe, expect, test } from "vitest";
import { largestError, worstGradient } from "../../test/helpers/compare.ts";
import { engines } from "../../test/helpers/engines.ts";
import { logitsOf, sequenceBatch } from "../../test/helpers/logits.ts";
import {
  againstMean,
  chancy,
  everything,
  givenMargin,
  mixed,
  shifted,
  sorted,
  variance,
} from "../../test/helpers/objectives.ts";
import { example, pairObjectives, randomExamples, tinyConfiguration, tinyModel } from "../../test/helpers/tiny.ts";
import { exampleLength, packBatch } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";
import type { Engine } from "../engine/engine.ts";
import { hostMemory } from "../engine/host-memory.ts";
import { interruptible } from "../engine/interruptible.ts";
import { aot } from "../objectives/aot.ts";
import { bcoPair } from "../objectives/bco.ts";
import { betaDpo } from "../objectives/beta-dpo.ts";
import { cpo } from "../objectives/cpo.ts";
import { createObjective, type ObjectiveOptions } from "../objectives/index.ts";
import { mpo } from "../objectives/mpo.ts";
import type { Objective } from "../objectives/objective.ts";
import { divisorsOf, meansOf } from "./means.ts";
import { microbatches } from "./microbatches.ts";
import { Optimizer } from "./optimizer.ts";
import { Trainer, type TrainerOptions } from "./trainer.ts";

const pairs = randomExamples(
  4,
  Array.from({ length: 9 }, (_, index) => [2 + (index % 3), 2 + ((2 * index) % 5), 1 + ((3 * index) % 7)] as const),
);
const texts = pairs.map(({ prompt, responses }) => example([...prompt], [...responses[0]!]));

function makeTrainer(
  { engine }: { engine: Engine },
  options: ObjectiveOptions,
  changes: Partial<TrainerOptions> = {},
): Trainer {
  const policy = tinyModel(engine, tinyConfiguration(), 1);
  const objective = createObjective(options);
  return new Trainer({
    engine,
    policy,
    reference: objective.reference === "none" ? undefined : tinyModel(engine, tinyConfiguration(), 1, policy),
    objective,
    optimizer: new Optimizer(engine, { name: "adamw" }, policy.trainable),
    schedule: { learningRate: 0.01 },
    totalSteps: 10,
    maxGradientNorm: 10,
    microbatch: { tokens: 60 },
    ...changes,
  });
}

describe("microbatches", () => {
  const ofLengths = (...lengths: number[]) => lengths.map((length) => example([1], Array(length - 1).fill(5)));
  const lengthsOf = (groups: TokenizedExample[][]) => groups.map((group) => group.map(exampleLength));

  test.each([
    { limits: { tokens: 10 }, lengths: [4, 6, 5, 5, 1], groups: [[4, 6], [5, 5], [1]] },
    { limits: { tokens: 9 }, lengths: [4, 6, 5, 5, 1], groups: [[4], [6], [5], [5, 1]] },
    // A longer example is a group of its own, wherever it stands.
    { limits: { tokens: 5 }, lengths: [9, 2, 3, 8, 2], groups: [[9], [2, 3], [8], [2]] },
    { limits: { tokens: 1 }, lengths: [2, 2], groups: [[2], [2]] },
    { limits: { tokens: 10, examples: 2 }, lengths: [2, 2, 2, 9, 3], groups: [[2, 2], [2], [9], [3]] },
    { limits: { tokens: Number.POSITIVE_INFINITY }, lengths: [3, 4], groups: [[3, 4]] },
    { limits: { tokens: Number.POSITIVE_INFINITY, examples: 1 }, lengths: [3, 4], groups: [[3], [4]] },
    { limits: { tokens: 5 }, lengths: [], groups: [] },
  ])("$lengths within $limits", ({ limits, lengths, groups }) => {
    expect(lengthsOf(microbatches(ofLengths(...lengths), limits))).toEqual(groups);
  });

  test("a pair counts its prompt once", () => {
    const pair = example([1, 2, 3], [4, 5], [6]);
    expect(microbatches([pair, pair], { tokens: 12 }).length).toBe(1);
    expect(microbatches([pair, pair], { tokens: 11 }).length).toBe(2);
  });
});

test("the mean is over examples, or over response tokens where the objective says so", () => {
  const means = (options: ObjectiveOptions, examples: readonly TokenizedExample[]) => {
    const objective = createObjective(options);
    return meansOf(objective, divisorsOf(objective, examples));
  };
  const two = [example([1, 2], [3, 4, 5]), example([1], [3])];
  expect(means({ name: "sft" }, two)).toEqual({ scale: 1 / 4, shares: [1] });
  expect(means({ name: "sft", mean: "sequences" }, two)).toEqual({ scale: 1 / 2, shares: [1] });
  expect(means(pairObjectives[5], pairs)).toEqual({ scale: 1 / 9, shares: [1] });
});

describe.each(engines)("in $precision", (used) => {
  const { tolerance } = used;
  const cases: [ObjectiveOptions, TokenizedExample[]][] = [
    [pairObjectives[5], pairs],
    [{ name: "sft" }, texts],
    [{ name: "sft", mean: "sequences" }, texts],
  ];

  test.each(cases)("loss, norm and gradient do not depend on the microbatches, for %o", async (options, examples) => {
    const whole = await makeTrainer(used, options, { microbatch: { tokens: 1000 } }).gradients(examples);
    for (const microbatch of [{ tokens: 1 }, { tokens: 15 }, { tokens: 40 }, { tokens: 1000, examples: 4 }]) {
      expect(microbatches(examples, microbatch).length).toBeGreaterThan(1);
      const cut = await makeTrainer(used, options, { microbatch }).gradients(examples);
      expect(largestError([cut.loss, cut.gradientNorm], [whole.loss, whole.gradientNorm])).toBeLessThan(tolerance);
      expect(worstGradient(cut.gradients, whole.gradients).error).toBeLessThan(tolerance);
      expect(cut.scored.map(({ responses }) => responses[0]!.policyLogp!.length)).toEqual(
        examples.map(({ responses }) => responses[0]!.length),
      );
    }
  });

  test("the loss is the mean of the examples' losses, the norm that of all gradients together", async () => {
    const { loss, scored, gradients, gradientNorm } = await makeTrainer(used, pairObjectives[5]).gradients(pairs);
    const mean = scored.reduce((sum, { outcome }) => sum + outcome.loss, 0) / pairs.length;
    expect(largestError([loss], [mean])).toBeLessThan(1e-12);
    const squares = Array.from(gradients.values(), ({ data }) => Math.hypot(...data) ** 2);
    expect(largestError([gradientNorm], [Math.sqrt(squares.reduce((a, b) => a + b))])).toBeLessThan(tolerance);
  });
});

describe("objectives that see more than their own example", () => {
  const [float64] = engines;
  const { engine, tolerance } = float64;
  const policy = tinyModel(engine, tinyConfiguration(), 1);
  const reference = tinyModel(engine, tinyConfiguration(), 2, policy);
  const examples = pairs.map((pair, index) => ({ ...pair, given: { margin: [Float64Array.of(index / 4)] } }));
  const trainerOf = (objective: Objective, microbatch: TrainerOptions["microbatch"], changes = {}) =>
    makeTrainer(float64, pairObjectives[0], { policy, reference, objective, microbatch, ...changes });
  const objectives = [againstMean, variance, sorted, shifted, chancy, everything, givenMargin].map((definition) =>
    definition.create({}),
  );
  const offered = [
    aot.create(),
    aot.create({ paired: false }),
    betaDpo.create(),
    bcoPair.create(),
    mpo.create(),
    cpo.create(),
  ];

  test.each([...objectives, mixed.create(), ...offered])(
    "$name: neither microbatches nor chunks and tiles change loss, gradient and state",
    async (objective) => {
      const whole = await trainerOf(objective, { tokens: 1000 }).gradients(examples);
      expect(whole.gradientNorm).toBeGreaterThan(0);
      for (const [microbatch, headSizes] of [
        [{ tokens: 1 }, undefined],
        [
          { tokens: 1000, examples: 2 },
          { entries: 4, tile: 30, kept: 0 },
        ],
        [
          { tokens: 1000, examples: 7 },
          { entries: 12, tile: 200, kept: 1000 },
        ],
      ] as const) {
        const cut = await trainerOf(objective, microbatch, { headSizes }).gradients(examples);
        expect(largestError([cut.loss, cut.gradientNorm], [whole.loss, whole.gradientNorm])).toBeLessThan(tolerance);
        expect(worstGradient(cut.gradients, whole.gradients).error).toBeLessThan(tolerance);
        expect(largestError(Object.values(cut.objectiveState), Object.values(whole.objectiveState))).toBeLessThan(
          tolerance,
        );
      }
    },
  );

  test.each(objectives.filter(({ scope }) => scope === "step"))(
    "$name: the gradient is that of the step's loss",
    async (objective) => {
      const trainer = trainerOf(objective, { tokens: 40 });
      const { gradients } = await trainer.gradients(examples);
      const name = "model.layers.1.mlp.up_proj.weight";
      const [{ data }, gradient] = [policy.parameters.get(name)!, [...gradients.get(name)!.data]];
      const index = gradient.reduce((best, value, i) => (Math.abs(value) > Math.abs(gradient[best]!) ? i : best), 0);
      const lossAt = async (value: number) => {
        data[index] = value;
        return (await trainer.gradients(examples)).loss;
      };
      const [value, step] = [data[index]!, 1e-4];
      const difference = ((await lossAt(value + step)) - (await lossAt(value - step))) / (2 * step);
      data[index] = value;
      const stops = objective.name === "against-mean" || objective.name === "shifted";
      if (stops) expect(Math.sign(gradient[index]!)).toBe(Math.sign(difference));
      else expect(gradient[index]! / difference).toBeCloseTo(1, 5);
    },
  );

  test("a step moves the state, one without an update does not", async () => {
    const trainer = trainerOf(shifted.create(), { tokens: 40 }, { policy: tinyModel(engine, tinyConfiguration(), 1) });
    expect(trainer.objectiveState).toEqual({ shift: 0.5 });
    await trainer.gradients(examples);
    expect(trainer.objectiveState).toEqual({ shift: 0.5 });
    await trainer.step(examples);
    expect(trainer.objectiveState.shift).not.toBe(0.5);
    const stopped = trainerOf(shifted.create(), { tokens: 40 });
    expect(await stopped.step(examples, AbortSignal.abort())).toBeUndefined();
    expect(stopped.objectiveState).toEqual({ shift: 0.5 });
  });

  test("chance follows from the seed and the step, and an example without its constants is named", async () => {
    const lossOf = async (seed: number) =>
      (await trainerOf(chancy.create(), { tokens: 40 }, { seed }).gradients(examples)).loss;
    expect(await lossOf(1)).toBe(await lossOf(1));
    expect(await lossOf(1)).not.toBe(await lossOf(2));
    const bare = trainerOf(givenMargin.create(), { tokens: 40 });
    await expect(bare.gradients(pairs)).rejects.toThrow("given-margin: an example has no margin");
  });
});

describe("training", () => {
  const [, float32] = engines;

  test.each([...pairObjectives.map((options) => [options, pairs] as const), [{ name: "sft" }, texts] as const])(
    "a few steps reduce the loss of %o",
    async (options, examples) => {
      const trainer = makeTrainer(float32, options, { schedule: { learningRate: 0.003 } });
      const margins = async () =>
        (await trainer.learner.evaluate(packBatch(examples))).map(
          ({ outcome: { rewards } }) => rewards && rewards[0]! - rewards[1]!,
        );
      const before = await margins();
      const losses: number[] = [];
      for (let step = 0; step < 8; step++) losses.push((await trainer.step(examples))!.loss);
      const { loss } = await trainer.gradients(examples);
      expect(loss).toBeLessThan(0.9 * losses[0]!);
      expect(Math.max(...losses)).toBe(losses[0]);
      const grown = (await margins()).flatMap((margin, pair) => (margin === undefined ? [] : [margin - before[pair]!]));
      if (createObjective(options).responses === 1) return expect(grown).toEqual([]);
      expect(grown.reduce((sum, growth) => sum + growth)).toBeGreaterThan(0);
      // A hinge leaves pairs alone that are apart already.
      if (options.name !== "slic") expect(Math.min(...grown)).toBeGreaterThan(0);
    },
  );

  test("the first loss with the reference as policy is log 2, and the warm-up is reported", async () => {
    const trainer = makeTrainer(float32, pairObjectives[5], { schedule: { learningRate: 0.01, warmupSteps: 3 } });
    const first = (await trainer.step(pairs))!;
    expect(first.loss).toBeCloseTo(Math.log(2), 12);
    expect(first.learningRate).toBeCloseTo(0.0025, 15);
    expect((await trainer.step(pairs))!.learningRate).toBeCloseTo(0.005, 15);
  });

  test("an aborted step changes nothing", async () => {
    const trainer = makeTrainer(float32, pairObjectives[5]);
    const before = await trainer.gradients(pairs);
    expect(await trainer.step(pairs, AbortSignal.abort())).toBeUndefined();
    expect(trainer.optimizer.step).toBe(0);
    expect((await trainer.gradients(pairs)).loss).toBe(before.loss);
  });

  test.each([...pairObjectives.map((options) => [options, pairs] as const), [{ name: "sft" }, texts] as const])(
    "logits of ±800 keep everything finite in float32, for %o",
    async (options, examples) => {
      const { engine } = float32;
      const policy = tinyModel(engine, tinyConfiguration(), 1);
      const reference = tinyModel(engine, tinyConfiguration(), 2, policy);
      for (const model of [policy, reference]) {
        const batch = sequenceBatch([...examples[0]!.prompt, ...examples[0]!.responses[0]!]);
        const reach = Math.max(...(await logitsOf(engine, model, batch)).flat().map(Math.abs));
        const head = model.parameters.get("lm_head.weight")!.data;
        head.forEach((value, index) => {
          head[index] = (value * 800) / reach;
        });
        const logits = (await logitsOf(engine, model, batch)).flat();
        expect(Math.max(...logits.map(Math.abs))).toBeCloseTo(800, 1);
      }
      const trainer = makeTrainer(float32, options, { policy, ...(options.name !== "sft" && { reference }) });
      for (let step = 0; step < 3; step++) {
        const { loss, gradientNorm, examples: scored } = (await trainer.step(examples))!;
        const statistics = scored.flatMap(({ responses }) => responses.flatMap(Object.values<Float64Array>));
        expect(Math.min(...statistics.flatMap((vector) => [...vector]))).toBeLessThan(-100);
        expect([loss, gradientNorm, ...statistics.flatMap((vector) => [...vector])].every(Number.isFinite)).toBe(true);
        expect(gradientNorm).toBeGreaterThan(0);
      }
      for (const [name, { data }] of policy.parameters) expect(data.every(Number.isFinite), name).toBe(true);
    },
  );
});

describe("a step that is interrupted", () => {
  const [, { engine: native }] = engines;

  /** An engine that calls `before` with the number of each program that it begins. */
  function numbering(before: (run: number) => void): Engine {
    let runs = 0;
    return {
      ...hostMemory,
      precision: native.precision,
      get allocatedBytes() {
        return native.allocatedBytes;
      },
      allocate: (shape) => native.allocate(shape),
      zeros: (shape) => native.zeros(shape),
      release: (value) => native.release(value),
      dispose() {},
      compile(program) {
        const executable = native.compile(program);
        const run: typeof executable.run = (...args) => {
          before(++runs);
          return executable.run(...args);
        };
        return { ...executable, run };
      },
    };
  }

  test.each<[string, Partial<TrainerOptions>]>([
    ["as it comes", {}],
    ["with activation checkpointing", { activationCheckpointing: true }],
    ["with tiles of the vocabulary", { headSizes: { entries: 4, tile: 100, kept: 300 } }],
    ["with a reference of another size", {}],
  ])("ends with the program it is in and leaves nothing, %s", async (name, changes) => {
    let [begun, abortIn, controller] = [0, 0, new AbortController()];
    const engine = interruptible(
      numbering(() => {
        if (++begun === abortIn) controller.abort();
      }),
    );
    const other = name.includes("of another size")
      ? { reference: tinyModel(engine, tinyConfiguration({ hidden_size: 24 }), 2) }
      : {};
    const options = { ...changes, ...other };
    const plain = await makeTrainer({ engine }, pairObjectives[5], options).gradients(pairs);
    const trainer = makeTrainer({ engine }, pairObjectives[5], options);
    begun = 0;
    await trainer.gradients(pairs);
    const programs = begun;
    await trainer.untilAborted(AbortSignal.abort(), () => trainer.gradients(pairs));
    const held = engine.allocatedBytes;
    for (abortIn = 1; abortIn < programs; abortIn += 5) {
      [begun, controller] = [0, new AbortController()];
      expect(await trainer.step(pairs, controller.signal)).toBeUndefined();
      expect(begun).toBe(abortIn);
      expect(engine.allocatedBytes).toBe(held);
    }
    expect(trainer.optimizer.step).toBe(0);
    abortIn = 0;
    const after = await trainer.gradients(pairs);
    expect([after.loss, after.gradientNorm]).toEqual([plain.loss, plain.gradientNorm]);
    expect(after.gradients).toEqual(plain.gradients);
  });

  test("hears of it at once: timers fire while a step is computed", async () => {
    const sizes = { hidden_size: 256, intermediate_size: 1024, num_hidden_layers: 4, vocab_size: 8000 };
    const configuration = tinyConfiguration({ ...sizes, max_position_embeddings: 256 });
    const policy = tinyModel(native, configuration, 1);
    const trainer = makeTrainer({ engine: native }, pairObjectives[5], {
      policy,
      reference: tinyModel(native, configuration, 2, policy),
      optimizer: new Optimizer(native, { name: "adamw" }, policy.trainable),
      microbatch: { tokens: 10_000 },
    });
    const examples = randomExamples(1, Array(6).fill([60, 90, 80] as const));
    // What the machine does besides may be in the way of one step; what a step does itself is in
    // the way of each.
    let hindered = true;
    for (let attempt = 0; hindered && attempt < 10; attempt++) {
      let gap = 0;
      const began = performance.now();
      let last = began;
      const observe = () => {
        const now = performance.now();
        gap = Math.max(gap, now - last);
        last = now;
      };
      const timer = setInterval(observe, 5);
      await trainer.step(examples);
      observe();
      clearInterval(timer);
      hindered = gap > Math.min(200, (last - began) / 3);
    }
    expect(hindered).toBe(false);
  });
});
