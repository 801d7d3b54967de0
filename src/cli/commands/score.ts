import { availableParallelism } from "node:os";
import { Command, Option } from "commander";
import { writeFileAtomic } from "../../files/file-system.ts";
import { mostThreads } from "../../numbers.ts";
import { score } from "../../score/score.ts";
import { scoreLine } from "../../score/scored-pair.ts";
import { counted } from "../../words.ts";
import { interrupted, untilInterrupted } from "../terminal/interruption.ts";
import { atLeast } from "../terminal/option-values.ts";
import { checkOutputFile } from "../terminal/output-file.ts";
import { shownMessage } from "../terminal/shown-text.ts";
import { evaluationReporter } from "./evaluate.ts";
import { addPairOptions, type PairOptions } from "./pair-options.ts";

interface Options extends PairOptions {
  data?: string[];
  reference?: string;
  output: string;
  overwrite: boolean;
  threads: number;
}

/**
 * `tokenwise score`.
 *
 * @param exit takes the exit code where it is not 0
 */
export function scoreCommand(exit: (code: number) => void): Command {
  const command = new Command("score")
    .description("score pairs token by token: log-probabilities, and beside a reference log-ratios and divergences")
    .argument("<model>", "folder of a model or of an adapter, or of a run, which brings its limits and columns")
    .option("--data <file...>", "pairs to score; without it what the run held out")
    .option("--reference <model>", "what to compare with")
    .requiredOption("--output <file>", "the scores, one JSON object per line")
    .option("--overwrite", "replace the output if it is there", false);
  return addPairOptions(command)
    .addOption(
      new Option("--threads <count>").argParser(atLeast(1, mostThreads)).default(availableParallelism(), "all cores"),
    )
    .addHelpText("after", help)
    .action(async (model: string, options: Options) => {
      const done = await untilInterrupted("stopping: nothing is written", (signal) => run(model, options, signal));
      if (!done) exit(interrupted);
    });
}

const help = `
A line has the number of the pair ("index", from 0), "prompt": {"tokens"}, "chosen", "rejected", and the "file" and "line" that it is from.
Both answers have their "tokens" as training sees them, end token included, and in nats for each token "logp" and "entropy"; with --reference
also "reference_logp", "log_ratio", "kl_reference_policy" and "kl_policy_reference". "sum" is that of "logp"; the others have "entropy_sum",
"reference_sum" and so on.

Example:
  tokenwise score runs/demo/model --data demo/pairs.jsonl --reference demo/model --output scores.jsonl`;

/** @returns whether the scores were written; not if Ctrl-C came first */
async function run(model: string, { output, overwrite, ...options }: Options, signal: AbortSignal): Promise<boolean> {
  const { data = [] } = options;
  await checkOutputFile(output, { option: "--output", problem: "cannot write the scores", overwrite, inputs: data });
  const reporter = evaluationReporter();
  const pairs = await score({ ...options, model, reporter, signal });
  let count = 0;
  try {
    await writeFileAtomic(output, async (handle) => {
      for await (const pair of pairs) {
        await handle.writeFile(`${scoreLine(pair)}\n`);
        count++;
      }
      signal.throwIfAborted();
    });
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    console.log("stopped");
    return false;
  } finally {
    reporter.clear();
  }
  console.log(shownMessage(`scores of ${counted(count, "pair")}: ${output}`));
  return true;
}
