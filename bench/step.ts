import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { exampleLength, packBatch } from "../src/data/batch.ts";
import type { TokenizedExample } from "../src/data/example.ts";
import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import { type ObjectiveName, objectiveNamed } from "../src/objectives/index.ts";
import type { Objective } from "../src/objectives/objective.ts";
import type { JudgedExample } from "../src/step/learner.ts";
import { microbatches } from "../src/step/microbatches.ts";
import { Optimizer } from "../src/step/optimizer.ts";
import { Trainer } from "../src/step/trainer.ts";
import { openModelFolder } from "../src/storage/folder.ts";
import type { FrozenFormat } from "../src/storage/frozen-parameters.ts";
import { beforeTraining, loadLanguageModel } from "../src/storage/load-model.ts";
import { fillCache, headAlone } from "../src/train/reference.ts";
import { ReferenceCache } from "../src/train/reference-cache.ts";
import { readBatch } from "./batch.ts";
import { jitter } from "./jitter.ts";
import { median, peakRssMiB, watchAnonymousMemory } from "./numbers.ts";
import { withPeersAdapter } from "./peer-adapter.ts";
import { report } from "./report.ts";

interface StepOptions {
  model: string;
  batch: string;
  objective: "dpo" | "tdpo1" | "tdpo2";
  alpha: number;
  beta: number;
  jitter: number;
  lora: number;
  base: FrozenFormat;
  steps: number;
  threads: number;
  lr: number;
  microbatchTokens: number;
  activationCheckpointing: boolean;
  ahead: boolean;
  cached: boolean;
  forward: boolean;
  json: boolean;
}

/**
 * `bench step`: one preference training step, with the options and the JSON fields of the PyTorch
 * peer.
 */
export function stepCommand(): Command {
  const number = Number;
  return new Command("step")
    .description("time one training step on a batch of token ids")
    .requiredOption("--model <folder>", "model folder")
    .requiredOption("--batch <file>", "JSON file with pairs of token ids")
    .addOption(new Option("--objective <name>").choices(["dpo", "tdpo1", "tdpo2"]).default("tdpo2"))
    .option("--alpha <number>", "TDPO2's weight of the KL term", number, 0.5)
    .option("--beta <number>", "strength of the reference", number, 0.1)
    .option("--jitter <number>", "reference = weight * (1 + jitter * sin(index))", number, 0)
    .option("--lora <rank>", "adapters on every *_proj, with the peer's numbers; 0 trains every weight", number, 0)
    .addOption(
      new Option("--base <format>", "how adapters' base is kept").choices(["stored", "int4"]).default("stored"),
    )
    .option("--steps <count>", "timed steps, after one that is not", number, 3)
    .option("--threads <count>", "threads", number, 2)
    .option("--lr <rate>", "AdamW's learning rate; 0 leaves the weights alone", number, 0)
    .option("--microbatch-tokens <count>", "tokens computed together", number, 1280)
    .option("--activation-checkpointing", "compute activations again in the backward pass", false)
    .option("--ahead", "cache the reference before the first step, and keep only its head in memory", false)
    .option("--no-cached", "leave out the steps with the reference cached")
    .option("--forward", "score only: no gradients", false)
    .option("--json", "print one line of JSON", false)
    .action(step);
}

async function step(options: StepOptions): Promise<void> {
  if (options.ahead && !options.cached) throw new Error("--ahead and --no-cached leave nothing to time");
  if (options.lora > 0 && options.jitter) throw new Error("--lora and --jitter exclude each other");
  const examples = readBatch(options.batch);
  const memory = watchAnonymousMemory();
  const engine = onnxRuntimeEngine({ threads: options.threads });
  const opened = await openModelFolder(options.model);
  const policy =
    options.lora > 0 ? await withPeersAdapter(engine, opened, options) : await loadLanguageModel(engine, opened);
  const limits = { tokens: options.microbatchTokens };
  const folder = await mkdtemp(join(tmpdir(), "tokenwise-bench-"));
  const identity = { reference: "bench", width: policy.configuration.width };
  const cache = await ReferenceCache.open(join(folder, "states"), identity, {
    budget: Number.POSITIVE_INFINITY,
    wanted: new Set(examples),
    warn: console.warn,
  });
  let reference = policy;
  if (policy.adapter) reference = await beforeTraining(engine, policy, opened);
  else if (!options.ahead || options.jitter) {
    reference = await loadLanguageModel(engine, opened, { like: policy, frozen: !options.jitter });
    if (options.jitter) for (const { data } of reference.trainable.values()) jitter(data, options.jitter);
  }
  if (options.ahead) {
    for await (const _ of fillCache(engine, reference, cache, examples, limits));
    reference = headAlone(engine, reference, { copy: reference === policy });
  }
  const trainer = new Trainer({
    engine,
    policy,
    reference,
    objective: objectiveWith(options),
    optimizer: new Optimizer(engine, { name: "adamw", weightDecay: 0.01 }, policy.trainable),
    schedule: { learningRate: options.lr },
    totalSteps: options.steps + 1,
    maxGradientNorm: 10,
    microbatch: limits,
    activationCheckpointing: options.activationCheckpointing,
  });
  // Apart from the steps, because an objective without divergence does not compute it, and the peer
  // always does.
  if (options.ahead) trainer.learner.referenceCache = cache;
  const scored = await score(trainer, examples, options);
  try {
    const times = { cached: [] as number[], whole: [] as number[] };
    let first: StepFigures | undefined;
    const ways = (["whole", "cached"] as const).filter((way) => (way === "whole" ? !options.ahead : options.cached));
    // In turns, so that both meet the same machine; the first round only warms up and fills the
    // cache.
    for (let count = 0; count <= options.steps; count++) {
      for (const name of ways) {
        trainer.learner.referenceCache = name === "cached" ? cache : undefined;
        const start = performance.now();
        const result = await once(trainer, examples, options);
        first ??= result;
        if (count > 0) times[name].push(round((performance.now() - start) / 1000, 3));
      }
    }
    report({ ...figures(options, examples, first!, scored, times), peakAnonymousMiB: memory.peakMiB() }, options);
  } finally {
    memory.stop();
    await cache.close({ keep: false });
    await rm(folder, { recursive: true });
  }
}

interface StepFigures {
  loss: number;
  gradientNorm: number;
}

/** The objective of the options, with those of its own that it has. */
function objectiveWith({ objective, alpha, beta }: StepOptions): Objective {
  const definition = objectiveNamed(objective as ObjectiveName);
  const own = Object.entries({ alpha, beta }).filter(([name]) => name in definition.schema.shape);
  return definition.create(Object.fromEntries(own));
}

/**
 * One step in the way that the options ask for: scoring, gradients alone, or gradients and update.
 */
async function once(trainer: Trainer, examples: TokenizedExample[], options: StepOptions): Promise<StepFigures> {
  if (options.forward) {
    const scored = await score(trainer, examples, options);
    return { loss: scored.reduce((sum, { outcome }) => sum + outcome.loss, 0) / scored.length, gradientNorm: 0 };
  }
  return options.lr === 0 ? trainer.gradients(examples) : (await trainer.step(examples))!;
}

async function score(trainer: Trainer, examples: TokenizedExample[], options: StepOptions): Promise<JudgedExample[]> {
  const scored: JudgedExample[] = [];
  for (const part of microbatches(examples, { tokens: options.microbatchTokens })) {
    scored.push(...(await trainer.learner.evaluate(packBatch(part))));
  }
  return scored;
}

function figures(
  options: StepOptions,
  examples: readonly TokenizedExample[],
  first: StepFigures,
  scored: readonly JudgedExample[],
  times: { cached: readonly number[]; whole: readonly number[] },
): Record<string, unknown> {
  const total = (vector?: Float64Array) => vector?.reduce((sum, value) => sum + value, 0) ?? 0;
  const sides = [0, 1].flatMap((side) => scored.map(({ responses }) => responses[side]!));
  const sequences = examples.flatMap(({ prompt, responses }) =>
    responses.map((response) => prompt.length + response.length),
  );
  const tokens = sequences.reduce((sum, length) => sum + length, 0);
  const counted = times.cached.length > 0 ? times.cached : times.whole;
  const seconds = median(counted);
  const secondsWithReference = times.whole.length > 0 ? median(times.whole) : undefined;
  return {
    objective: options.objective,
    loss: first.loss,
    gradientNorm: first.gradientNorm,
    sumLogRatio: sides.map(({ policyLogp, referenceLogp }) => total(policyLogp) - total(referenceLogp)),
    seqKlReferencePolicy: sides.map(({ klReferencePolicy }) => total(klReferencePolicy)),
    seconds,
    secondsFastest: Math.min(...counted),
    ...(secondsWithReference !== undefined && { secondsWithReference }),
    tokens,
    padded: sequences.length * Math.max(...sequences),
    tokensComputed: examples.reduce((sum, example) => sum + exampleLength(example), 0),
    tokensPerSecond: round(tokens / seconds, 1),
    ...(secondsWithReference !== undefined && {
      tokensPerSecondWithReference: round(tokens / secondsWithReference, 1),
    }),
    peakRssMiB: peakRssMiB(),
    onnxruntime: createRequire(import.meta.url)("../runtime/version.json").onnxruntime as string,
  };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
