import { Command } from "commander";
import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import { parameterShapes } from "../src/models/architecture.ts";
import { Optimizer } from "../src/step/optimizer.ts";
import { openModelFolder } from "../src/storage/folder.ts";
import { median, rounded, timed } from "./numbers.ts";
import { report } from "./report.ts";

interface Options {
  model: string;
  repeats: number;
  threads: number;
  json: boolean;
}

/**
 * What an update must move for each parameter: weight and two moments read and written, the
 * gradient read, in float32.
 */
export const bytesPerParameter = 28;

/** `bench optimizer`: AdamW's update of a model's parameters. */
export function optimizerCommand(): Command {
  return new Command("optimizer")
    .description("time AdamW's update of a model's parameters")
    .requiredOption("--model <folder>", "model folder, of which only the sizes count")
    .option("--repeats <count>", "timed runs, after one that is not; the median counts", Number, 3)
    .option("--threads <count>", "threads", Number, 2)
    .option("--json", "print one line of JSON", false)
    .action(run);
}

async function run(options: Options): Promise<void> {
  const engine = onnxRuntimeEngine({ threads: options.threads });
  const shapes = parameterShapes((await openModelFolder(options.model)).architecture);
  const filled = (number: number) =>
    new Map(
      [...shapes].map(([name, shape]) => {
        const value = engine.allocate(shape);
        value.data.fill(number);
        return [name, value];
      }),
    );
  const [weights, gradients] = [filled(0.02), filled(1e-3)];
  const parameters = [...weights.values()].reduce((sum, { data }) => sum + data.length, 0);
  const optimizer = new Optimizer(engine, { name: "adamw", weightDecay: 0.01 }, weights);
  const times: number[] = [];
  for (let repeat = 0; repeat <= options.repeats; repeat++) {
    const seconds = await timed(() => optimizer.update(gradients, { learningRate: 1e-6, gradientScale: 1 }));
    if (repeat > 0) times.push(seconds);
  }
  engine.dispose();
  const seconds = median(times);
  const gigabytesPerSecond = rounded((parameters * bytesPerParameter) / seconds / 1e9);
  report({ parameters, seconds: rounded(seconds), gigabytesPerSecond }, options);
}
