import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import type { Engine, FloatArray, FloatValue } from "../engine/engine.ts";
import type { ModelConfiguration } from "../models/configuration.ts";
import { Decoder } from "../models/decoder.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { Answer, type AnswerOptions, type Generation } from "./answer.ts";

export type { Generation } from "./answer.ts";

export interface GenerateOptions extends AnswerOptions {
  /** Answers for each prompt. */
  readonly samples: number;
  readonly maxNewTokens: number;
  /** Fixes the samples, whatever is computed together. */
  readonly seed: number;
  /** An answer ends before the first of these strings, none of them empty. */
  readonly stop: readonly string[];
  /** Prompts computed together. */
  readonly batchSize: number;
  /** Index of the first prompt, where the prompts are the rest of a longer list. */
  readonly firstPrompt?: number;
  /**
   * Called with each piece of text as it becomes certain; pieces of one sample join to its text.
   */
  readonly onText?: AnswerOptions["onText"];
  /** Called as answers end. */
  readonly onProgress?: (endedAnswers: number) => void;
  /** Ends the work early, without the answers of the batch in the making. */
  readonly signal?: AbortSignal;
}

/** One answer of up to 128 tokens from the model's own distribution. */
export const defaultGenerateOptions: Omit<GenerateOptions, "onText" | "onProgress" | "signal"> = {
  temperature: 1,
  topK: 0,
  topP: 1,
  samples: 1,
  maxNewTokens: 128,
  seed: 0,
  stop: [],
  batchSize: 16,
};

/**
 * Samples answers to prompts.
 *
 * @param prompts token ids as `encodePrompts` makes them: none empty, and none as long as the
 * context
 * @yields the answers of each batch of prompts, in order of prompt and sample
 */
export async function* generate(
  engine: Engine,
  model: LanguageModel,
  tokenizer: Tokenizer,
  prompts: readonly Int32Array[],
  options: GenerateOptions,
): AsyncGenerator<Generation[]> {
  const decoder = new Decoder(engine, model);
  const { configuration } = model;
  try {
    for (let first = 0; first < prompts.length; first += options.batchSize) {
      const batch = prompts.slice(first, first + options.batchSize);
      const limits = batch.map(({ length }) => Math.min(options.maxNewTokens, endOf(length, configuration) - length));
      const answers = limits.flatMap((limit, index) =>
        Array.from({ length: options.samples }, (_, sample) => {
          const prompt = (options.firstPrompt ?? 0) + first + index;
          return new Answer(tokenizer, batch[index]!, { prompt, sample }, limit, options);
        }),
      );
      const start = { copies: options.samples, newTokens: Math.max(...limits) };
      const report = () => {
        const ended = answers.filter((answer) => answer.ended).length;
        options.onProgress?.(first * options.samples + ended);
      };
      if (!(await run(engine, decoder, await decoder.start(batch, start), answers, { ...options, report }))) return;
      yield answers.map(({ result }) => result);
    }
  } finally {
    decoder.dispose();
  }
}

/**
 * The most tokens that a sequence may grow to. The cache holds keys as they are in a sequence on
 * one side of the short context, and the last token never comes into it.
 */
function endOf(length: number, { contextLength, shortContextLength = 0 }: ModelConfiguration): number {
  return length <= shortContextLength ? Math.min(shortContextLength + 1, contextLength) : contextLength;
}

/** Goes on until all answers have ended; false if the signal came first. */
async function run(
  engine: Engine,
  decoder: Decoder,
  firstLogits: FloatValue,
  answers: readonly Answer[],
  { report, signal }: { report: () => void; signal?: AbortSignal },
): Promise<boolean> {
  let logits = firstLogits;
  let rows = answers;
  for (;;) {
    let tokens: Int32Array;
    try {
      tokens = takeTokens(rows, await engine.read(logits));
    } finally {
      engine.release(logits);
    }
    report();
    const going = [...rows.keys()].filter((row) => !rows[row]!.ended);
    if (going.length === 0) return true;
    if (signal?.aborted) return false;
    // Moving the cache costs about as much as a few steps, so only when it halves the work.
    if (going.length <= rows.length / 2) {
      decoder.keep(going);
      tokens = Int32Array.from(going, (row) => tokens[row]!);
      rows = going.map((row) => rows[row]!);
    }
    logits = await decoder.next(tokens);
  }
}

/** @param logits [rows, vocabulary] */
function takeTokens(rows: readonly Answer[], logits: FloatArray): Int32Array {
  const width = logits.length / rows.length;
  return Int32Array.from(rows, (answer, row) => answer.take(logits.subarray(row * width, (row + 1) * width)));
}
