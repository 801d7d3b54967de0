import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Command } from "commander";
import { UserError } from "../../errors.ts";
import { checkWritable, writeFileAtomic } from "../../files/file-system.ts";
import { lockBeside, withLock } from "../../files/lock.ts";
import { defaultGenerateOptions } from "../../generate/generate.ts";
import { readPrompts } from "../../generate/prompts.ts";
import { Journal } from "../../pairs/journal.ts";
import { type PairCounts, pairsOf, scoreAnswers } from "../../pairs/make-pairs.ts";
import { openScorer } from "../../pairs/open-scorer.ts";
import { MisplacedScoresError } from "../../pairs/scorer.ts";
import { journalSettings } from "../../pairs/settings.ts";
import { withoutControls } from "../../show/visible-text.ts";
import { counted } from "../../words.ts";
import { countedProgress } from "../terminal/counted-progress.ts";
import { interrupted, untilInterrupted } from "../terminal/interruption.ts";
import { atLeast, number } from "../terminal/option-values.ts";
import {
  addGenerationOptions,
  type GenerationOptions,
  generateOptions,
  type PreparedModel,
  prepareModel,
  withModel,
} from "./generation.ts";

interface Options extends GenerationOptions {
  prompts: string;
  output: string;
  scorer: string;
  scorerTimeout: number;
  margin: number;
  pairsPerPrompt: number;
  resume: boolean;
}

/**
 * `tokenwise pairs`.
 *
 * @param exit takes the exit code where it is not 0
 */
export function pairsCommand(exit: (code: number) => void): Command {
  const command = new Command("pairs")
    .description("make preference pairs: sample answers of a model, score them, and set the best against the worst")
    .argument("<model>", "model folder, or the folder of a run")
    .requiredOption("--prompts <file>", "a text per line, or records with a `prompt` (.jsonl, .parquet)")
    .requiredOption("--output <file>", "the pairs, one JSON object per line, as `data.train` of a recipe reads them")
    .requiredOption(
      "--scorer <scorer>",
      "afinn, vader, command:<shell command> (JSON lines in and out), or an http(s) URL",
    )
    .option("--margin <number>", "least difference of the scores of a pair", number(0), 0)
    .option("--pairs-per-prompt <count>", "best and worst, second best and second worst, …", atLeast(1), 1)
    .option("--scorer-timeout <seconds>", "how long a command or server may be silent", number(0.001, 86400), 60)
    .option("--resume", "continue a run that was not finished", false);
  return addGenerationOptions(command, { ...defaultGenerateOptions, samples: 8 })
    .addHelpText(
      "after",
      `
Progress is kept in <output>.partial until the pairs are written.

A command is given one line {"id", "prompt", "response"} per answer and answers one line {"score": number} each, in
order and nothing else. A URL is sent {"items": [{"id", "prompt", "response"}, …]} by POST and answers
{"scores": [number, …]}. Where "id" (of a URL: "ids") is given back, it is checked.

Example:
  tokenwise pairs demo/model --prompts demo/openings/training.txt --scorer vader --margin 0.5 --output pairs.jsonl`,
    )
    .action(async (path: string, options: Options) => {
      if (!(await run(path, options))) exit(interrupted);
    });
}

/** @returns whether the pairs were written; not if Ctrl-C came first */
async function run(path: string, options: Options): Promise<boolean> {
  const { output } = options;
  checkOptions(options);
  await checkWritable(dirname(resolve(output)), "cannot write the pairs");
  return withLock(await lockBeside(output), () => makePairs(path, options));
}

async function makePairs(path: string, options: Options): Promise<boolean> {
  const { output, resume } = options;
  if (existsSync(output)) throw new UserError("exists already", { file: output, hint: "choose another --output" });
  const prompts = await readPrompts(options.prompts);
  const conversation = prompts.find((prompt) => prompt.conversation);
  if (conversation) {
    const hint = "give prompts as texts; `tokenwise generate` takes conversations";
    throw new UserError("pairs are made of prompts that are texts", { ...conversation.place, field: "prompt", hint });
  }
  const prepared = await prepareModel(path, prompts);
  const texts = prompts.map(({ text }) => text);
  const scorer = await openScorer(options.scorer, { timeout: options.scorerTimeout });
  try {
    const settings = await journalSettings(prepared.folder, texts, options.scorer, generateOptions(options));
    const journal = await Journal.open(`${output}.partial`, settings, { resume, batchSize: options.batchSize });
    let written = false;
    try {
      const notice = "stopping: what is done stays, to be continued with --resume";
      const all = await untilInterrupted(notice, (signal) => answer(prepared, texts, scorer, journal, options, signal));
      await scorer.end();
      if (!all) return false;
      const { pairs, counts } = pairsOf(journal.done, options);
      if (pairs.length === 0) throw noPairs(counts);
      await writeFileAtomic(output, pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(""));
      written = true;
      console.log(withoutControls(describe(counts, output)));
      return true;
    } catch (error) {
      if (error instanceof MisplacedScoresError) await journal.forgetNew();
      throw error;
    } finally {
      await journal.close({ keep: !written && journal.done.length > 0 });
    }
  } finally {
    await scorer.dispose();
  }
}

/** Samples and scores what the journal does not have; true when all is done. */
async function answer(
  prepared: PreparedModel,
  texts: readonly string[],
  scorer: Parameters<typeof scoreAnswers>[2],
  journal: Journal,
  options: Options,
  signal: AbortSignal,
): Promise<boolean> {
  if (journal.done.length === texts.length) return true;
  const already = journal.done.length * options.samples;
  const progress = countedProgress("answers", texts.length * options.samples, { already });
  const { tokenizer, prompts: ids } = prepared;
  try {
    return await withModel(prepared, options.threads, (engine, model) =>
      scoreAnswers({ engine, model, tokenizer }, { texts, ids }, scorer, journal, {
        ...generateOptions(options),
        signal,
        onProgress: progress.update,
      }),
    );
  } finally {
    progress.clear();
  }
}

function checkOptions({ samples, temperature }: Options): void {
  if (samples < 2) {
    throw new UserError("must be at least 2, for a pair needs two answers", { field: "--samples" });
  }
  if (temperature === 0) {
    throw new UserError("must be above 0, for without chance all answers are the same", { field: "--temperature" });
  }
}

function noPairs(counts: PairCounts): UserError {
  return new UserError(`no pair was found (${countsInWords(counts)})`, {
    hint: "continue with --resume and a lower --margin, or delete the .partial file and sample more",
  });
}

function describe(counts: PairCounts, output: string): string {
  return `${countsInWords(counts)}\n${counted(counts.pairs, "pair")}: ${output}`;
}

function countsInWords({
  prompts,
  answers,
  blank,
  duplicates,
  cut,
  withoutChoice,
  droppedByMargin,
}: PairCounts): string {
  return [
    counted(prompts, "prompt"),
    counted(answers, "answer"),
    counted(duplicates, "duplicate"),
    `${blank} blank`,
    `${cut} cut at the limit of tokens`,
    `${counted(withoutChoice, "prompt")} with fewer than two different answers`,
    `${counted(droppedByMargin, "prompt")} dropped by the margin`,
  ].join(", ");
}
