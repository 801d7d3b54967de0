/**
 * The common parts of `generate` and `pairs`: the options of sampling, and the way to an engine
 * with a model in it.
 */
import { availableParallelism } from "node:os";
import { type Command, Option } from "commander";
import type { Tokenizer } from "../../data/tokens/tokenizer.ts";
import { createEngine } from "../../engine/create.ts";
import type { Engine } from "../../engine/engine.ts";
import { defaultGenerateOptions, type GenerateOptions } from "../../generate/generate.ts";
import { encodePrompts, type Prompt } from "../../generate/prompts.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import { mostThreads } from "../../numbers.ts";
import { type ModelFolder, modelPath, openModelFolder } from "../../storage/folder.ts";
import { loadLanguageModel } from "../../storage/load-model.ts";
import { loadModelTokenizer } from "../../storage/model-tokenizer.ts";
import { atLeast, filledTexts, number } from "../terminal/option-values.ts";
import { shownMessage } from "../terminal/shown-text.ts";

/** The values of the options that `addGenerationOptions` adds. */
export interface GenerationOptions {
  samples: number;
  maxNewTokens: number;
  temperature: number;
  topK: number;
  topP: number;
  greedy?: boolean;
  seed: number;
  stop?: string[];
  batchSize: number;
  threads: number;
}

/** Adds the options of sampling to a command. */
export function addGenerationOptions(command: Command, defaults = defaultGenerateOptions): Command {
  const { samples, maxNewTokens, temperature, topK, topP, seed, batchSize } = defaults;
  return command
    .option("--samples <count>", "answers for each prompt", atLeast(1, 1e6), samples)
    .option("--max-new-tokens <count>", "tokens of an answer at most", atLeast(1, 1e8), maxNewTokens)
    .option("--temperature <number>", "logits are divided by it; 0 is greedy", number(0), temperature)
    .option("--top-k <count>", "draw from so many likeliest tokens; 0: from all", atLeast(0), topK)
    .option("--top-p <share>", "draw from the likeliest tokens with this share; 1: from all", number(0, 1), topP)
    .option("--seed <number>", "fixes the samples", atLeast(0), seed)
    .option(
      "--stop <text...>",
      "an answer ends before any of these, taken literally (a line break: $'\\n' in most shells)",
      filledTexts,
    )
    .option("--batch-size <count>", "prompts computed together", atLeast(1, 1e5), batchSize)
    .addOption(
      new Option("--threads <count>", "threads")
        .argParser(atLeast(1, mostThreads))
        .default(availableParallelism(), "all cores"),
    );
}

/** The options of `generate` as the command line's options say. */
export function generateOptions({ greedy, ...options }: GenerationOptions): GenerateOptions {
  const { samples, maxNewTokens, temperature, topK, topP, seed, stop = [], batchSize } = options;
  const common = { samples, maxNewTokens, topK, topP, seed, stop, batchSize };
  return { ...common, temperature: greedy ? 0 : temperature };
}

/** A model whose folder and prompts are checked, before its weights are loaded. */
export interface PreparedModel {
  readonly folder: ModelFolder;
  readonly tokenizer: Tokenizer;
  readonly prompts: Int32Array[];
}

/**
 * Opens the model of a folder or run and encodes prompts for it; throws a `UserError` for what is
 * wrong with either.
 */
export async function prepareModel(path: string, prompts: readonly Prompt[]): Promise<PreparedModel> {
  const folder = await openModelFolder(modelPath(path));
  const tokenizer = await loadModelTokenizer(folder);
  for (const note of [...folder.notes, ...tokenizer.warnings]) console.error(shownMessage(`note: ${note}`));
  return { folder, tokenizer, prompts: await encodePrompts(tokenizer, folder.configuration, prompts) };
}

/** Runs work with the model in an engine of its own. */
export async function withModel<Result>(
  { folder }: PreparedModel,
  threads: number,
  work: (engine: Engine, model: LanguageModel) => Promise<Result>,
): Promise<Result> {
  const engine = await createEngine({ threads });
  try {
    return await work(engine, await loadLanguageModel(engine, folder));
  } finally {
    engine.dispose();
  }
}
