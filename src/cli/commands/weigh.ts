import { Command } from "commander";
import { UserError } from "../../errors.ts";
import { exportEstimates, openEstimates } from "../../importance/estimates-file.ts";
import { readRecipe } from "../../recipe/parse.ts";
import { isWeighted } from "../../runs/token-weights.ts";
import { weigh } from "../../weigh/weigh.ts";
import { interrupted, untilInterrupted } from "../terminal/interruption.ts";
import { checkOutputFile } from "../terminal/output-file.ts";
import { progressReporter } from "../terminal/progress.ts";
import { shownMessage } from "../terminal/shown-text.ts";
import { withoutRepeats } from "../terminal/without-repeats.ts";

interface Options {
  set?: string[];
  jsonl?: string;
  overwrite: boolean;
}

/**
 * `tokenwise weigh`.
 *
 * @param exit takes the exit code where it is not 0
 */
export function weighCommand(exit: (code: number) => void): Command {
  return new Command("weigh")
    .description("estimate which tokens of the pairs matter (TIS-DPO): log-probabilities under two contrastive models")
    .argument("<recipe>", "YAML file with `weights:`; the run that it describes is not begun")
    .option("--set <key=value...>", "change settings of the recipe, e.g. --set weights.from=sft")
    .option("--jsonl <file>", "write the estimates as lines of JSON, too")
    .option("--overwrite", "replace the file of --jsonl if there is one", false)
    .addHelpText("after", help)
    .action(async (file: string, { set, jsonl, overwrite }: Options) => {
      const recipe = await readRecipe(file, set);
      if (!isWeighted(recipe)) {
        throw new UserError("is missing", {
          file,
          field: "weights",
          hint: "say where weights come `from`: dpo, sft, prompts or models",
        });
      }
      if (jsonl !== undefined)
        await checkOutputFile(jsonl, { option: "--jsonl", problem: "cannot write the estimates", overwrite });
      const reporter = withoutRepeats(progressReporter());
      const result = await untilInterrupted("stopping: finished work is kept", (signal) =>
        weigh(recipe, { signal, reporter }),
      );
      if (result.status === "stopped") {
        console.log(continueWeighing);
        return exit(interrupted);
      }
      if (jsonl !== undefined) await exportEstimates(await openEstimates(result.file), jsonl);
      console.log(shownMessage(`estimates: ${result.file}`));
    });
}

/** The message of a stopped estimation. */
export const continueWeighing = "stopped; run the same command again to continue";

const help = `
Contrastive models are trained first if the recipe says so. What is finished is not done again while recipe, data and models stay the same,
and what was interrupted goes on. \`tokenwise train\` does all this by itself; \`tokenwise show-weights\` shows the result.

Example:
  tokenwise weigh recipes/tis-dpo.yaml --jsonl estimates.jsonl`;
