import { Command } from "commander";
import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import type { LlamaConfiguration } from "../src/families/llama.ts";
import { linear } from "../src/graph/ops/matmul.ts";
import { defineProgram } from "../src/graph/program.ts";
import { input } from "../src/graph/tensor.ts";
import { openModelFolder } from "../src/storage/folder.ts";

interface Options {
  model: string;
  rows: number;
  headRows: number;
  repeats: number;
  threads: number;
}

/**
 * `bench gemm`: the rate of the matrix products that a model is made of, each alone: the limit of a
 * step's arithmetic.
 */
export function gemmCommand(): Command {
  return new Command("gemm")
    .description("time the matrix products of a model's shapes, the best of some runs")
    .requiredOption("--model <folder>", "model folder, of which only the sizes count")
    .option("--rows <count>", "tokens computed together", Number, 1277)
    .option("--head-rows <count>", "rows of the head", Number, 256)
    .option("--repeats <count>", "runs of each", Number, 12)
    .option("--threads <count>", "threads", Number, 2)
    .action(run);
}

async function run({ model, rows, headRows, repeats, threads }: Options): Promise<void> {
  const { width, feedForwardWidth, heads, headWidth, vocabularySize } = (await openModelFolder(model))
    .configuration as LlamaConfiguration;
  const shapes = {
    "query, output": [rows, heads * headWidth, width],
    "gate, up": [rows, feedForwardWidth, width],
    down: [rows, width, feedForwardWidth],
    head: [headRows, vocabularySize, width],
  } as const;
  const engine = onnxRuntimeEngine({ threads });
  for (const [name, [m, n, k]] of Object.entries(shapes)) {
    const [x, w] = [input(["rows", k]), input([n, k])];
    const product = engine.compile(defineProgram(name, { x, w }, { y: linear(x, w) }));
    const values = { x: engine.allocate([m, k]), w: engine.allocate([n, k]) };
    const y = engine.allocate([m, n]);
    values.x.data.fill(0.5);
    values.w.data.fill(0.25);
    let best = Number.POSITIVE_INFINITY;
    for (let repeat = 0; repeat < repeats; repeat++) {
      const start = performance.now();
      await product.run(values, { y });
      best = Math.min(best, performance.now() - start);
    }
    const rate = (2 * m * n * k) / best / 1e6;
    console.log(`${name.padEnd(14)} ${`${m} x ${n} x ${k}`.padEnd(20)} ${rate.toFixed(0).padStart(5)} GFLOP/s`);
    product.dispose();
  }
  engine.dispose();
}
