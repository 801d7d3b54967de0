import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { defaultDevice, init, jit, numpy as np, tree } from "@jax-js/jax";
import { Command } from "commander";
import type { LlamaConfiguration } from "../src/families/llama.ts";
import { openModelFolder } from "../src/storage/folder.ts";
import { readBatch } from "./batch.ts";
import { lossAndGradients, type Rows, type Weights } from "./javascript-llama.ts";
import { jitter } from "./jitter.ts";
import { median, peakRssMiB, rounded } from "./numbers.ts";

interface Options {
  alpha: number;
  beta: number;
  jitter: number;
  steps: number;
  lr: number;
}

/*
 * The step of `bench step --objective tdpo2` in jax-js, which brings gradients and compiled kernels
 * to JavaScript. It computes as `peer.py` does: every answer repeats its prompt, rows are padded,
 * whole logits are kept. In Node it runs as WebAssembly, in one thread.
 */
await new Command("javascript-peer")
  .description("Time one TDPO2 step in jax-js; prints one line of JSON.")
  .argument("<model>", "float32 model folder, a small one")
  .argument("<batch>", "JSON file with pairs of token ids")
  .option("--alpha <number>", "weight of the KL term", Number, 0.5)
  .option("--beta <number>", "strength of the reference", Number, 0.1)
  .option("--jitter <number>", "reference = weight * (1 + jitter * sin(index))", Number, 0)
  .option("--steps <count>", "timed steps, after one that is not", Number, 3)
  .option("--lr <rate>", "AdamW's learning rate; 0 leaves the weights alone", Number, 0)
  .action(run)
  .parseAsync();

async function run(model: string, batch: string, options: Options): Promise<void> {
  await init("wasm");
  defaultDevice("wasm");
  const folder = await openModelFolder(model);
  const read = async (amount: number) => {
    const weights: Weights = {};
    for (const [name, { shape }] of folder.parameters) {
      const data = new Float32Array(await folder.read(name));
      if (amount !== 0) jitter(data, amount);
      weights[name] = np.array(data as Float32Array<ArrayBuffer>).reshape([...shape]);
    }
    return weights;
  };
  const reference = await read(options.jitter);
  let policy = await read(0);
  let moments = { mean: zerosLike(policy), variance: zerosLike(policy) };
  const { rows, tokens } = padded(batch);
  const differentiate = jit(lossAndGradients(folder.configuration as LlamaConfiguration, options));
  const norm = jit(gradientNorm);
  const update = jit(adamw);
  const seconds: number[] = [];
  let first: Record<string, number | number[]> | undefined;
  for (let step = 0; step <= options.steps; step++) {
    const start = performance.now();
    const [[loss, { ratio, kl }], gradients] = differentiate(tree.ref(policy), tree.ref(reference), tree.ref(rows));
    const total = (await norm(tree.ref(gradients)).data())[0]!;
    if (options.lr === 0) tree.dispose(gradients);
    else {
      const corrections = [options.lr, 1 / (1 - 0.9 ** (step + 1)), 1 / (1 - 0.999 ** (step + 1))];
      const clip = Math.min(1, 10 / (total + 1e-6));
      const scalars = np.array(Float32Array.from([...corrections, clip]));
      [policy, moments] = update(policy, gradients, moments, scalars);
      await Promise.all(tree.leaves(policy).map((leaf) => leaf.blockUntilReady()));
    }
    const figures = {
      loss: (await loss.data())[0]!,
      gradientNorm: total,
      sumLogRatio: [...(await ratio.data())],
      seqKlReferencePolicy: [...(await kl.data())],
    };
    if (step > 0) seconds.push((performance.now() - start) / 1000);
    first ??= figures;
  }
  const [longRows, length] = rows.ids.shape as [number, number];
  const secondsMedian = rounded(median(seconds));
  const entry = createRequire(import.meta.url).resolve("@jax-js/jax");
  const { version } = JSON.parse(readFileSync(join(dirname(entry), "../package.json"), "utf8")) as { version: string };
  console.log(
    JSON.stringify({
      objective: "tdpo2",
      ...first,
      seconds: seconds.map(rounded),
      secondsMedian,
      tokens,
      padded: longRows * length,
      tokensPerSecond: rounded(tokens / secondsMedian),
      peakRssMiB: peakRssMiB(),
      jax: version,
    }),
  );
}

/**
 * Every answer behind its own copy of the prompt, chosen answers first, filled up to the longest.
 */
function padded(file: string): { rows: Rows; tokens: number } {
  const examples = readBatch(file);
  const sequences = [0, 1].flatMap((side) =>
    examples.map(({ prompt, responses }) => ({ prompt, response: responses[side]! })),
  );
  const lengths = sequences.map(({ prompt, response }) => prompt.length + response.length);
  const length = Math.max(...lengths);
  const ids = new Int32Array(sequences.length * length);
  const scored = new Float32Array(ids.length);
  for (const [row, { prompt, response }] of sequences.entries()) {
    const start = row * length;
    ids.set(prompt, start);
    ids.set(response, start + prompt.length);
    scored.fill(1, start + prompt.length, start + prompt.length + response.length);
  }
  const shape = [sequences.length, length];
  const rows = { ids: np.array(ids).reshape(shape), scored: np.array(scored).reshape(shape) };
  return { rows, tokens: lengths.reduce((sum, count) => sum + count, 0) };
}

function zerosLike(weights: Weights): Weights {
  return Object.fromEntries(Object.entries(weights).map(([name, { shape }]) => [name, np.zeros(shape)]));
}

function gradientNorm(gradients: Weights): np.Array {
  return np.sqrt(
    Object.values(gradients)
      .map((gradient) => np.square(gradient).sum())
      .reduce((sum, term) => sum.add(term)),
  );
}

type Moments = { mean: Weights; variance: Weights };

/**
 * AdamW with PyTorch's defaults; `scalars` are the learning rate, Adam's two corrections and the
 * factor of clipping.
 */
function adamw(weights: Weights, gradients: Weights, { mean, variance }: Moments, scalars: np.Array) {
  const [rate, first, second, clip] = np.split(scalars, 4) as [np.Array, np.Array, np.Array, np.Array];
  const updated: [Weights, Moments] = [{}, { mean: {}, variance: {} }];
  for (const [name, weight] of Object.entries(weights)) {
    const gradient = gradients[name]!.mul(clip.ref);
    const m = mean[name]!.mul(0.9).add(gradient.ref.mul(0.1));
    const v = variance[name]!.mul(0.999).add(np.square(gradient).mul(0.001));
    updated[1].mean[name] = m.ref;
    updated[1].variance[name] = v.ref;
    const direction = m.mul(first.ref).div(np.sqrt(v.mul(second.ref)).add(1e-8));
    const decayed = weight.ref.mul(0.01);
    updated[0][name] = weight.sub(direction.add(decayed).mul(rate.ref));
  }
  tree.dispose([rate, first, second, clip]);
  return updated;
}
