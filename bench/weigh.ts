import { Command } from "commander";
import type { TokenizedExample } from "../src/data/example.ts";
import type { Engine } from "../src/engine/engine.ts";
import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import type { LanguageModel } from "../src/models/language-model.ts";
import { loadLanguageModel } from "../src/storage/load-model.ts";
import { estimatePairs } from "../src/weigh/estimate-pairs.ts";
import { readBatch } from "./batch.ts";
import { runJson } from "./child.ts";
import { median, rounded, timed } from "./numbers.ts";
import { report } from "./report.ts";

interface WeighOptions {
  model: string;
  batch: string;
  repeats: number;
  threads: number;
  peer?: string;
  python: string;
  json: boolean;
}

/** Pairs that are padded to one length together, as the published estimator does. */
const paddedTogether = 4;

/**
 * `bench weigh`: pairs a second under two models, against padded full sequences on this engine and,
 * if given, in PyTorch.
 */
export function weighCommand(): Command {
  return new Command("weigh")
    .description("time the estimation of token log-probabilities under two models")
    .requiredOption("--model <folder>", "model folder, for both models")
    .requiredOption("--batch <file>", "JSON file with pairs of token ids")
    .option("--repeats <count>", "timed runs of each, after one that is not, in turns; the medians count", Number, 3)
    .option("--threads <count>", "threads", Number, 2)
    .option("--peer <file>", "a PyTorch script with the options of bench/peer.py")
    .option("--python <command>", "a Python with torch and numpy", "python3")
    .option("--json", "print one line of JSON", false)
    .action(run);
}

async function run({ model: folder, batch, repeats, threads, peer, python, json }: WeighOptions): Promise<void> {
  const examples = readBatch(batch);
  const engine = onnxRuntimeEngine({ threads });
  const positive = await loadLanguageModel(engine, folder);
  const negative = await loadLanguageModel(engine, folder, { like: positive });
  const ours: number[] = [];
  const plain: number[] = [];
  for (let repeat = 0; repeat <= repeats; repeat++) {
    const times = [
      await timed(() => packed(engine, positive, negative, examples)),
      await timed(() => padded(engine, positive, negative, examples)),
    ];
    if (repeat === 0) continue;
    ours.push(times[0]!);
    plain.push(times[1]!);
  }
  const rate = (seconds: number) => rounded(examples.length / seconds);
  const [mine, theirs] = [median(ours), median(plain)];
  const result: Record<string, number> = {
    pairs: examples.length,
    pairsPerSecond: rate(mine),
    paddedPairsPerSecond: rate(theirs),
    timesFasterThanPadded: Number((theirs / mine).toFixed(2)),
  };
  if (peer !== undefined) {
    const options = ["--forward", "--steps", String(repeats), "--threads", String(threads)];
    const seconds = runJson<{ secondsMedian: number }>(python, [peer, folder, batch, ...options]).secondsMedian;
    result.torchPairsPerSecond = rate(seconds);
    result.timesFasterThanTorch = Number((seconds / mine).toFixed(2));
  }
  report(result, { json });
}

async function packed(engine: Engine, positive: LanguageModel, negative: LanguageModel, examples: TokenizedExample[]) {
  await drain(
    estimatePairs(
      engine,
      examples,
      { positive: { model: positive, examples }, negative: { model: negative, examples } },
      limits,
    ),
  );
}

const limits = { tokens: 1280 };

/**
 * Every answer behind its own copy of the prompt, filled up to the longest of its batch, and the
 * vocabulary at every position.
 */
async function padded(engine: Engine, positive: LanguageModel, negative: LanguageModel, examples: TokenizedExample[]) {
  for (let start = 0; start < examples.length; start += paddedTogether) {
    const sequences = examples
      .slice(start, start + paddedTogether)
      .flatMap(({ prompt, responses }) => responses.map((response) => Int32Array.of(...prompt, ...response)));
    const longest = Math.max(...sequences.map(({ length }) => length));
    const rows = sequences.map((tokens): TokenizedExample => {
      const filled = new Int32Array(longest);
      filled.set(tokens);
      // The second, empty answer makes it a pair for the estimator.
      const responses = [filled.subarray(1), new Int32Array(0)];
      return { prompt: filled.subarray(0, 1), responses, cut: { prompt: 0, responses: [0, 0] }, place: undefined };
    });
    await drain(
      estimatePairs(
        engine,
        rows,
        { positive: { model: positive, examples: rows }, negative: { model: negative, examples: rows } },
        { tokens: Number.POSITIVE_INFINITY },
      ),
    );
  }
}

async function drain(batches: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of batches);
}
