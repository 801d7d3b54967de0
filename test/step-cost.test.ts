/**
 * What a step costs, in figures that do not depend on the machine: programs run, graph nodes
 * computed, bytes that go in and out of programs, and the most memory held. A change that costs
 * more than these limits should be one that someone decided on.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Engine, FloatValue } from "../src/engine/engine.ts";
import { hostMemory } from "../src/engine/host-memory.ts";
import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import type { Value } from "../src/graph/tensor.ts";
import { createObjective } from "../src/objectives/index.ts";
import { Optimizer } from "../src/step/optimizer.ts";
import { Trainer } from "../src/step/trainer.ts";
import { ReferenceCache } from "../src/train/reference-cache.ts";
import { randomExamples, tinyConfiguration, tinyModel } from "./helpers/tiny.ts";

const sizes = { hidden_size: 64, intermediate_size: 128, vocab_size: 512, max_position_embeddings: 128 };
const few = randomExamples(1, Array(4).fill([20, 30, 25] as const));

/** An engine that counts what it is asked to do. */
function counting(engine: Engine) {
  const counts = { runs: 0, nodes: 0, bytes: 0, peak: 0 };
  const bytesOf = (values: Readonly<Record<string, Value>>, names: Iterable<string>) =>
    Array.from(names).reduce((sum, name) => sum + (values[name]?.data.byteLength ?? 0), 0);
  const observe = () => {
    counts.peak = Math.max(counts.peak, engine.allocatedBytes);
  };
  const counted: Engine = {
    ...hostMemory,
    precision: engine.precision,
    get allocatedBytes() {
      return engine.allocatedBytes;
    },
    allocate(shape) {
      const value = engine.allocate(shape);
      observe();
      return value;
    },
    zeros(shape) {
      const value = engine.zeros(shape);
      observe();
      return value;
    },
    release: (value: FloatValue) => engine.release(value),
    dispose: () => engine.dispose(),
    compile(program) {
      const executable = engine.compile(program);
      return {
        program,
        dispose: () => executable.dispose(),
        async run(inputs, outputs) {
          const results = await executable.run(inputs, outputs);
          observe();
          counts.runs++;
          counts.nodes += program.nodes.length;
          counts.bytes += bytesOf(inputs, program.inputs.keys()) + bytesOf(results, program.outputs.keys());
          return results;
        },
      };
    },
  };
  return { counted, counts };
}

interface Setting {
  layers?: number;
  vocabulary?: number;
  pairs?: number;
  cached?: boolean;
  activationCheckpointing?: boolean;
}

/** The cost of the third step; the first ones compile, and fill what is kept between steps. */
async function costOfStep({ layers = 2, vocabulary = 512, pairs = 4, cached = false, ...how }: Setting) {
  const engine = onnxRuntimeEngine({ threads: 2 });
  try {
    const { counted, counts } = counting(engine);
    const configuration = tinyConfiguration({ ...sizes, num_hidden_layers: layers, vocab_size: vocabulary });
    const policy = tinyModel(counted, configuration, 1);
    const reference = tinyModel(counted, configuration, 2, policy);
    const trainer = new Trainer({
      ...{
        engine: counted,
        policy,
        reference,
        totalSteps: 3,
        maxGradientNorm: 10,
        microbatch: { tokens: 300 },
        ...how,
      },
      objective: createObjective({ name: "tdpo2", beta: 0.1, alpha: 0.5 }),
      optimizer: new Optimizer(counted, { name: "adamw" }, policy.trainable),
      schedule: { learningRate: 1e-4 },
    });
    const examples = Array.from({ length: pairs / 4 }, () => few).flat();
    const file = join(folder, `states ${files++}`);
    const identity = { reference: "", width: configuration.width };
    const cache = await ReferenceCache.open(file, identity, { budget: 1e9, wanted: new Set(examples), warn() {} });
    if (cached) trainer.learner.referenceCache = cache;
    for (let step = 0; step < 2; step++) await trainer.step(examples);
    const held = engine.allocatedBytes;
    Object.assign(counts, { runs: 0, nodes: 0, bytes: 0, peak: held });
    await trainer.step(examples);
    expect(engine.allocatedBytes).toBe(held);
    await cache.close({ keep: false });
    return { ...counts, working: counts.peak - held };
  } finally {
    engine.dispose();
  }
}

let folder: string;
let files = 0;
let cost: Record<"plain" | "cached" | "checkpointing", Awaited<ReturnType<typeof costOfStep>>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-test-"));
  cost = {
    plain: await costOfStep({}),
    cached: await costOfStep({ cached: true }),
    checkpointing: await costOfStep({ activationCheckpointing: true }),
  };
});

afterAll(() => rm(folder, { recursive: true }));

test("stays within what it was", () => {
  expect(cost.plain.runs).toBeLessThanOrEqual(83);
  expect(cost.plain.nodes).toBeLessThanOrEqual(1824);
  expect(cost.plain.bytes).toBeLessThan(16e6);
  expect(cost.plain.working).toBeLessThan(2.5e6);
});

test("a cached reference spares its pass", () => {
  expect(cost.cached.nodes).toBeLessThan(0.87 * cost.plain.nodes);
  expect(cost.cached.bytes).toBeLessThan(0.9 * cost.plain.bytes);
});

test("activation checkpointing needs less memory", () => {
  expect(cost.checkpointing.working).toBeLessThan(0.8 * cost.plain.working);
});

test("more pairs in a step take more runs and no more memory", async () => {
  const many = await costOfStep({ pairs: 32 });
  expect(many.working).toBeLessThan(1.01 * cost.plain.working);
  expect(many.runs).toBeLessThan(8 * cost.plain.runs);
});

test("layers cost linearly", async () => {
  const [four, six] = [await costOfStep({ layers: 4 }), await costOfStep({ layers: 6 })];
  for (const figure of ["runs", "nodes", "bytes", "working"] as const) {
    expect(six[figure] - four[figure], figure).toBeLessThanOrEqual(1.01 * (four[figure] - cost.plain[figure]));
  }
});

test("the vocabulary costs a chunk of rows, whatever the number of tokens", async () => {
  const large = await costOfStep({ vocabulary: 8192 });
  const larger = await costOfStep({ vocabulary: 8192, pairs: 16 });
  expect(larger.working).toBeLessThan(1.01 * large.working);
});
