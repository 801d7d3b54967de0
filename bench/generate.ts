import { Command } from "commander";
import type { Engine } from "../src/engine/engine.ts";
import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import { greedy } from "../src/generate/sampler.ts";
import { Decoder } from "../src/models/decoder.ts";
import type { LanguageModel } from "../src/models/language-model.ts";
import { Random } from "../src/random.ts";
import { loadLanguageModel } from "../src/storage/load-model.ts";
import { rounded } from "./numbers.ts";
import { report } from "./report.ts";

interface GenerateOptions {
  model: string;
  prompt: number;
  new: number;
  batch: number;
  repeats: number;
  threads: number;
  recompute: boolean;
  json: boolean;
}

/**
 * `bench generate`: tokens per second with the cache of keys and values, against computing the
 * whole sequence for every token.
 */
export function generateCommand(): Command {
  return new Command("generate")
    .description("time greedy generation from random prompts of token ids")
    .requiredOption("--model <folder>", "model folder; it needs no tokenizer")
    .option("--prompt <count>", "tokens of each prompt", Number, 128)
    .option("--new <count>", "new tokens of each sequence", Number, 128)
    .option("--batch <count>", "sequences computed together", Number, 1)
    .option("--repeats <count>", "timed runs with the cache, after one that is not; the median counts", Number, 3)
    .option("--threads <count>", "threads", Number, 2)
    .option("--no-recompute", "leave out the slow comparison")
    .option("--json", "print one line of JSON", false)
    .action(run);
}

async function run(options: GenerateOptions): Promise<void> {
  const engine = onnxRuntimeEngine({ threads: options.threads });
  const model = await loadLanguageModel(engine, options.model);
  const random = Random.from(0, "bench generate");
  const { vocabularySize } = model.configuration;
  const prompts = Array.from({ length: options.batch }, () =>
    Int32Array.from({ length: options.prompt }, () => random.integer(vocabularySize)),
  );
  const decoder = new Decoder(engine, model);
  await cached(engine, decoder, prompts, options.new);
  const runs: Awaited<ReturnType<typeof cached>>[] = [];
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    runs.push(await cached(engine, decoder, prompts, options.new));
  }
  const { seconds, promptSeconds, tokens } = runs.toSorted((a, b) => a.seconds - b.seconds)[runs.length >> 1]!;
  const count = options.batch * options.new;
  const slow = options.recompute ? await recomputed(engine, model, decoder, prompts, options.new) : undefined;
  decoder.dispose();
  const result = {
    prompt: options.prompt,
    new: options.new,
    batch: options.batch,
    seconds: rounded(seconds),
    promptSeconds: rounded(promptSeconds),
    tokensPerSecond: rounded(count / seconds),
    millisecondsPerStep: rounded((1000 * (seconds - promptSeconds)) / Math.max(1, options.new - 1)),
    ...(slow && {
      recomputeSeconds: rounded(slow.seconds),
      recomputeTokensPerSecond: rounded(count / slow.seconds),
      timesFaster: rounded(slow.seconds / seconds),
      sameTokens: slow.tokens.every((sequence, index) => sequence.join() === tokens[index]!.join()),
    }),
  };
  // Only for programs: the first sequence, so that a peer can be asked for the same.
  const first = { promptTokens: [...prompts[0]!], newTokens: tokens[0]! };
  report(options.json ? { ...result, ...first } : result, options);
}

async function cached(engine: Engine, decoder: Decoder, prompts: readonly Int32Array[], newTokens: number) {
  const start = performance.now();
  const tokens: number[][] = prompts.map(() => []);
  let logits = await decoder.start(prompts, { copies: 1, newTokens });
  const promptSeconds = (performance.now() - start) / 1000;
  for (let count = 1; ; count++) {
    const width = logits.shape[1]!;
    for (const [row, sequence] of tokens.entries()) {
      sequence.push(greedy(logits.data.subarray(row * width, (row + 1) * width)));
    }
    engine.release(logits);
    if (count === newTokens) break;
    logits = await decoder.next(Int32Array.from(tokens, (sequence) => sequence.at(-1)!));
  }
  return { tokens, promptSeconds, seconds: (performance.now() - start) / 1000 };
}

/** Every token from the whole sequence before it. */
async function recomputed(
  engine: Engine,
  model: LanguageModel,
  decoder: Decoder,
  prompts: readonly Int32Array[],
  newTokens: number,
) {
  const start = performance.now();
  const sequences = prompts.map((prompt) => [...prompt]);
  const { vocabularySize } = model.configuration;
  for (let count = 0; count < newTokens; count++) {
    const logits = await decoder.start(
      sequences.map((sequence) => Int32Array.from(sequence)),
      { copies: 1, newTokens: 0 },
    );
    for (const [row, sequence] of sequences.entries()) {
      sequence.push(greedy(logits.data.subarray(row * vocabularySize, (row + 1) * vocabularySize)));
    }
    engine.release(logits);
  }
  const tokens = sequences.map((sequence, index) => sequence.slice(prompts[index]!.length));
  return { tokens, seconds: (performance.now() - start) / 1000 };
}
