import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Command, Option } from "commander";
import { exampleLength, packBatch } from "../src/data/batch.ts";
import type { TokenizedExample } from "../src/data/example.ts";
import { onnxRuntimeEngine } from "../src/engine/onnx-runtime.ts";
import { type LanguageModel, loadLanguageModel } from "../src/models/language-model.ts";
import { createObjective } from "../src/objectives/index.ts";
import type { ScoredExample } from "../src/train/learner.ts";
import { microbatches, Trainer } from "../src/train/trainer.ts";

interface StepOptions {
  model: string;
  batch: string;
  objective: "dpo" | "tdpo1" | "tdpo2";
  alpha: number;
  beta: number;
  jitter: number;
  steps: number;
  threads: number;
  lr: number;
  microbatchTokens: number;
  activationCheckpointing: boolean;
  forward: boolean;
  json: boolean;
}

/** `bench step`: one preference training step, with the options and the JSON fields of the PyTorch peer. */
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
    .option("--steps <count>", "timed steps, after one that is not", number, 3)
    .option("--threads <count>", "threads", number, 2)
    .option("--lr <rate>", "AdamW's learning rate; 0 leaves the weights alone", number, 0)
    .option("--microbatch-tokens <count>", "tokens computed together", number, 2048)
    .option("--activation-checkpointing", "compute activations again in the backward pass", false)
    .option("--forward", "score only: no gradients", false)
    .option("--json", "print one line of JSON", false)
    .action(step);
}

async function step(options: StepOptions): Promise<void> {
  const examples = readBatch(options.batch);
  const engine = onnxRuntimeEngine({ threads: options.threads });
  const policy = await loadLanguageModel(engine, options.model);
  const reference = await loadLanguageModel(engine, options.model, { like: policy });
  if (options.jitter) jitter(reference, options.jitter);
  const { alpha, beta } = options;
  const trainer = new Trainer({
    engine,
    policy,
    reference,
    objective: createObjective({ name: options.objective, alpha, beta } as Parameters<typeof createObjective>[0]),
    optimizer: { name: "adamw", weightDecay: 0.01 },
    schedule: { learningRate: options.lr },
    totalSteps: options.steps + 1,
    maxGradientNorm: 10,
    microbatch: { tokens: options.microbatchTokens },
    activationCheckpointing: options.activationCheckpointing,
  });
  // Apart from the steps, because an objective without divergence does not compute it, and the peer always does.
  const scored = await score(trainer, examples, options);
  const seconds: number[] = [];
  let first: { loss: number; gradientNorm: number } | undefined;
  for (let count = 0; count <= options.steps; count++) {
    const start = performance.now();
    const result = await once(trainer, examples, options);
    first ??= result;
    if (count > 0) seconds.push(round((performance.now() - start) / 1000, 3));
  }
  report(options, examples, first!, scored, seconds);
}

/** One step in the way that the options ask for: scoring, gradients alone, or gradients and update. */
async function once(
  trainer: Trainer,
  examples: TokenizedExample[],
  options: StepOptions,
): Promise<{ loss: number; gradientNorm: number }> {
  if (options.forward) {
    const scored = await score(trainer, examples, options);
    return { loss: scored.reduce((sum, { outcome }) => sum + outcome.loss, 0) / scored.length, gradientNorm: 0 };
  }
  return options.lr === 0 ? trainer.gradients(examples) : (await trainer.step(examples))!;
}

async function score(trainer: Trainer, examples: TokenizedExample[], options: StepOptions): Promise<ScoredExample[]> {
  const scored: ScoredExample[] = [];
  for (const part of microbatches(examples, { tokens: options.microbatchTokens })) {
    scored.push(...(await trainer.learner.evaluate(packBatch(part))));
  }
  return scored;
}

function report(
  options: StepOptions,
  examples: readonly TokenizedExample[],
  first: { loss: number; gradientNorm: number },
  scored: readonly ScoredExample[],
  seconds: readonly number[],
): void {
  const total = (vector?: Float64Array) => vector?.reduce((sum, value) => sum + value, 0) ?? 0;
  const sides = [0, 1].flatMap((side) => scored.map(({ responses }) => responses[side]!));
  const sequences = examples.flatMap(({ prompt, responses }) =>
    responses.map((response) => prompt.length + response.length),
  );
  const tokens = sequences.reduce((sum, length) => sum + length, 0);
  const secondsMedian = seconds.toSorted((a, b) => a - b)[seconds.length >> 1]!;
  const result = {
    objective: options.objective,
    loss: first.loss,
    gradientNorm: first.gradientNorm,
    sumLogRatio: sides.map(({ policyLogp, referenceLogp }) => total(policyLogp) - total(referenceLogp)),
    seqKlReferencePolicy: sides.map(({ klReferencePolicy }) => total(klReferencePolicy)),
    seconds,
    secondsMedian,
    tokens,
    padded: sequences.length * Math.max(...sequences),
    tokensComputed: examples.reduce((sum, example) => sum + exampleLength(example), 0),
    tokensPerSecond: round(tokens / secondsMedian, 1),
    peakRssMiB: Math.floor(process.resourceUsage().maxRSS / 1024),
    onnxruntime: createRequire(import.meta.url)("onnxruntime-node/package.json").version as string,
  };
  if (options.json) console.log(JSON.stringify(result));
  else for (const [name, value] of Object.entries(result)) console.log(`${name.padEnd(22)} ${value}`);
}

function readBatch(file: string): TokenizedExample[] {
  const { pairs } = JSON.parse(readFileSync(file, "utf8")) as {
    pairs: Record<"prompt" | "chosen" | "rejected", number[]>[];
  };
  return pairs.map(({ prompt, chosen, rejected }) => ({
    prompt: Int32Array.from(prompt),
    responses: [Int32Array.from(chosen), Int32Array.from(rejected)],
    cut: { prompt: 0, responses: [0, 0] },
    place: undefined,
  }));
}

/** Perturbs a model as the peer does, float32 at each operation. */
function jitter({ parameters }: LanguageModel, amount: number): void {
  const { fround } = Math;
  for (const { data } of parameters.values()) {
    for (let index = 0; index < data.length; index++) {
      data[index]! *= fround(1 + fround(fround(amount) * fround(Math.sin(fround(index)))));
    }
  }
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
