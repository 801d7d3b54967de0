import { Command } from "commander";
import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import type { LanguageModel } from "../src/models/language-model.ts";
import { openModelFolder } from "../src/storage/folder.ts";
import { loadLanguageModel } from "../src/storage/load-model.ts";
import { median, peakRssMiB, rounded, timed } from "./numbers.ts";
import { report } from "./report.ts";

interface Options {
  model: string;
  repeats: number;
  threads: number;
  json: boolean;
}

/**
 * `bench load`: how fast a model folder gets into memory, files in the page cache, with programs
 * prepared and weights alone.
 */
export function loadCommand(): Command {
  return new Command("load")
    .description("time loading a model folder")
    .requiredOption("--model <folder>", "model folder")
    .option("--repeats <count>", "timed runs of each, after one that is not; the medians count", Number, 3)
    .option("--threads <count>", "threads", Number, 2)
    .option("--json", "print one line of JSON", false)
    .action(run);
}

async function run(options: Options): Promise<void> {
  const engine = onnxRuntimeEngine({ threads: options.threads });
  const { parameters } = await openModelFolder(options.model);
  const bytes = [...parameters.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  const first = await loadLanguageModel(engine, options.model);
  const load = (like: LanguageModel | undefined) =>
    timed(async () => {
      const { memory } = await loadLanguageModel(engine, options.model, { like });
      for (const value of memory) engine.release(value);
    });
  const times = { whole: [] as number[], weights: [] as number[] };
  for (let repeat = 0; repeat <= options.repeats; repeat++) {
    const [whole, weights] = [await load(undefined), await load(first)];
    if (repeat === 0) continue;
    times.whole.push(whole);
    times.weights.push(weights);
  }
  engine.dispose();
  const weightsSeconds = median(times.weights);
  report(
    {
      seconds: rounded(median(times.whole)),
      weightsSeconds: rounded(weightsSeconds),
      megabytes: rounded(bytes / 1e6),
      megabytesPerSecond: rounded(bytes / weightsSeconds / 1e6),
      peakRssMiB: peakRssMiB(),
    },
    options,
  );
}
