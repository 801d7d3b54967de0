import { availableParallelism } from "node:os";
import { Command, Option } from "commander";
import { type EvaluateOptions, type EvaluationReporter, evaluate } from "../../evaluate/evaluate.ts";
import { defaultSampleOptions } from "../../evaluate/samples.ts";
import { formatTable } from "../../evaluate/table.ts";
import { mostThreads } from "../../numbers.ts";
import { numberOptions } from "../../objectives/index.ts";
import { colorsFor } from "../terminal/colors.ts";
import { activityProgress, type CountedProgress } from "../terminal/counted-progress.ts";
import { interrupted, untilInterrupted } from "../terminal/interruption.ts";
import { endWithReader } from "../terminal/lost-output.ts";
import { atLeast, number } from "../terminal/option-values.ts";
import { progressReporter } from "../terminal/progress.ts";
import { addPairOptions } from "./pair-options.ts";

interface Options extends Omit<EvaluateOptions, "models" | "objective" | "reporter" | "signal"> {
  objective?: string;
  json: boolean;
  /** Options of the objective. */
  [option: string]: unknown;
}

/**
 * `tokenwise evaluate`.
 *
 * @param exit takes the exit code where it is not 0
 */
export function evaluateCommand(exit: (code: number) => void): Command {
  const sampling = defaultSampleOptions;
  const command = new Command("evaluate")
    .description("measure models on held-out pairs, side by side")
    .argument(
      "<model...>",
      "model folders, or folders of runs, which bring their reference, objective and held-out data",
    )
    .option("--data <file...>", "pairs to evaluate on, instead of what the runs held out")
    .option("--reference <model>", "what to compare with, instead of what the runs recorded")
    .option("--objective <name>", "one over pairs (`tokenwise methods` lists them), instead of what the runs recorded");
  for (const name of numberOptions)
    command.option(`--${hyphenated(name)} <number>`, `change the objective's ${name}`, number(0));
  return addPairOptions(command)
    .option(
      "--samples <count>",
      "answers to sample for each prompt (the TDPO paper: 25)",
      atLeast(0, 1e6),
      sampling.samples,
    )
    .option("--prompts-limit <count>", "sample for so many prompts", atLeast(1), sampling.promptsLimit)
    .option("--max-new-tokens <count>", "longest sample", atLeast(1, 1e8), sampling.maxNewTokens)
    .option(
      "--top-p <share>",
      "sample from the most likely tokens with this probability together",
      number(0, 1),
      sampling.topP,
    )
    .option("--temperature <number>", "of samples", number(0), sampling.temperature)
    .option("--seed <number>", "fixes the samples", atLeast(0), sampling.seed)
    .addOption(
      new Option("--threads <count>").argParser(atLeast(1, mostThreads)).default(availableParallelism(), "all cores"),
    )
    .option("--json", "one line of JSON with an object for each model", false)
    .addHelpText("after", help)
    .action(async (models: string[], options: Options) => {
      if (!(await run(models, options))) exit(interrupted);
    });
}

const help = `
Rewards are the objective's own, plain rewards are beta times the log-ratio to the reference for every objective. Ties count one half in
accuracies. Log-probabilities and sequential KL divergences are sums over an answer, in nats.

Examples:
  tokenwise evaluate runs/demo --samples 5
  tokenwise evaluate runs/dpo runs/tdpo2 --data pairs.jsonl --json`;

/** @returns whether the models were evaluated; not if Ctrl-C came first */
async function run(models: string[], { objective: name, json, ...options }: Options): Promise<boolean> {
  const settings = numberOptions.map((option) => [option, options[option]]);
  const objective = { ...Object.fromEntries(settings), name };
  endWithReader();
  const reporter = evaluationReporter();
  const evaluations = await untilInterrupted("stopping", (signal) =>
    evaluate({ ...options, models, objective, reporter, signal }),
  );
  if (!evaluations) {
    reporter.clear();
    console.log("stopped");
    return false;
  }
  if (json) console.log(JSON.stringify(evaluations));
  else console.log(formatTable(evaluations, colorsFor(process.stdout).bold));
  return true;
}

/**
 * Notes and warnings as in training, and progress of what takes its time, to be cleared where that
 * is not done to the end.
 */
export function evaluationReporter(): EvaluationReporter & Pick<CountedProgress, "clear"> {
  const { note, warn } = progressReporter();
  const progress = activityProgress();
  return { note, warn, progress: progress.update, clear: progress.clear };
}

/** `labelSmoothing` as a flag is written. */
function hyphenated(option: string): string {
  return option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
