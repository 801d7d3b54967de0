/**
 * Nothing above the engine touches the numbers of values but by the engine's methods: on an engine
 * whose memory is out of reach, all is computed as on one whose memory is the process's own.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Engine } from "../src/engine/engine.ts";
import { float64Engine } from "../src/engine/float64.ts";
import { generate } from "../src/generate/generate.ts";
import { byteTokenizer, writeByteModel } from "../src/generate/testing/byte-model.ts";
import type { LanguageModel } from "../src/models/language-model.ts";
import { createObjective, type ObjectiveOptions } from "../src/objectives/index.ts";
import { restoreOptimizer, saveCheckpoint, saveModel } from "../src/runs/checkpoint.ts";
import { Optimizer } from "../src/step/optimizer.ts";
import { type StepResult, Trainer } from "../src/step/trainer.ts";
import { openModelFolder } from "../src/storage/folder.ts";
import { loadLanguageModel, loadWithAdapter } from "../src/storage/load-model.ts";
import { fillCache, headAlone } from "../src/train/reference.ts";
import { ReferenceCache } from "../src/train/reference-cache.ts";
import { deviceEngine } from "./helpers/device-engine.ts";
import { hashes, temporaryFolder } from "./helpers/runs.ts";
import { randomExamples } from "./helpers/tiny.ts";

const pairs = randomExamples(3, [[3, 5, 4] as const, [1, 2, 7] as const, [6, 4, 4] as const]);
const prompts = [Int32Array.of(72, 105), Int32Array.of(65, 66, 67, 68, 69), Int32Array.of(33)];

/** All that a run and its commands compute: losses, files and answers. */
async function everything(engine: Engine, base: string) {
  const folder = await temporaryFolder();
  const policy = await loadLanguageModel(engine, base);
  const reference = await loadLanguageModel(engine, base, { frozen: true });
  const cache = await ReferenceCache.open(
    join(folder, "cache"),
    { reference: "", width: policy.configuration.width },
    { budget: 1e9, wanted: new Set(pairs), warn() {} },
  );
  for await (const _ of fillCache(engine, reference, cache, pairs, { tokens: 20 }));

  const whole = trainerOf(engine, policy, { name: "tdpo2" }, headAlone(engine, reference, { copy: true }));
  whole.learner.referenceCache = cache;
  const steps = [await whole.step(pairs), await whole.step(pairs)];
  const progress = { step: 2, examples: 6, position: { epoch: 0, index: 0 }, data: "" };
  const checkpoint = await saveCheckpoint(engine, join(folder, "checkpoints"), {
    ...{ policy, optimizer: whole.optimizer, progress, tokenizerFrom: new Map(), keep: 1 },
  });
  const resumed = trainerOf(engine, policy, { name: "dpo" }, reference);
  await restoreOptimizer(engine, checkpoint, resumed.optimizer, 2);
  steps.push(await resumed.step(pairs));

  const lora = { rank: 2, alpha: 4, dropout: 0.3, rslora: false, targetModules: ["q_proj", "down_proj"] };
  const adapted = await loadWithAdapter(engine, await openModelFolder(base), { lora, base: "int4", seed: 1 });
  const small = trainerOf(engine, adapted, { name: "ipo" }, reference);
  for (let step = 0; step < 2; step++) steps.push(await small.step(pairs));
  await saveModel(engine, join(folder, "adapter"), adapted, new Map(), "float32");
  await cache.close({ keep: true });

  const answers = [];
  const options = { samples: 3, maxNewTokens: 9, seed: 4, stop: [], batchSize: 2, temperature: 1, topK: 0, topP: 1 };
  for await (const batch of generate(engine, policy, await byteTokenizer(), prompts, options)) answers.push(...batch);
  return { steps, answers, files: await hashes(folder) };
}

function trainerOf(
  engine: Engine,
  policy: LanguageModel,
  options: ObjectiveOptions,
  reference: LanguageModel,
): Trainer {
  return new Trainer({
    ...{
      engine,
      policy,
      reference,
      objective: createObjective(options),
      headSizes: { entries: 6, tile: 60, kept: 100 },
    },
    optimizer: new Optimizer(engine, { name: "adamw" }, policy.trainable),
    ...{ schedule: { learningRate: 1e-2 }, totalSteps: 4, maxGradientNorm: 1, microbatch: { tokens: 30 } },
  });
}

test("everything on memory out of reach is as on the process's own", async () => {
  const base = await writeByteModel(join(await temporaryFolder(), "base"));
  const result = await everything(deviceEngine(), base);
  const losses = (steps: readonly (StepResult | undefined)[]) => steps.map((step) => step!.loss);
  expect(losses(result.steps).every(Number.isFinite)).toBe(true);
  expect(new Set(losses(result.steps)).size).toBe(5);
  expect(result).toEqual(await everything(float64Engine(), base));
});

test("what reads or writes that memory without the engine meets NaN, and changes nothing", async () => {
  const engine = deviceEngine();
  const value = engine.zeros([2]);
  expect([...value.data]).toEqual([Number.NaN, Number.NaN]);
  value.data.fill(1);
  expect([...(await engine.read(value))]).toEqual([0, 0]);
});
