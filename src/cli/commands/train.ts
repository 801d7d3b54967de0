import { Command } from "commander";
import { type PipelineResult, train } from "../../pipeline.ts";
import { readRecipe } from "../../recipe/parse.ts";
import { interrupted, untilInterrupted } from "../terminal/interruption.ts";
import { progressReporter } from "../terminal/progress.ts";
import { shownMessage } from "../terminal/shown-text.ts";
import { withoutRepeats } from "../terminal/without-repeats.ts";
import { continueWeighing } from "./weigh.ts";

/**
 * `tokenwise train`.
 *
 * @param exit takes the exit code where it is not 0
 */
export function trainCommand(exit: (code: number) => void): Command {
  return new Command("train")
    .description(
      "train a model as a recipe says: supervised, or on preference pairs (`tokenwise methods` lists the objectives)",
    )
    .argument("<recipe>", "YAML file; paths in it are relative to the working directory")
    .option("--set <key=value...>", "change settings of the recipe, e.g. --set objective.beta=0.2 seed=1")
    .option("--resume", "continue the run in the recipe's output folder from its newest checkpoint", false)
    .option("--overwrite", "replace the run in the recipe's output folder", false)
    .option("--dry-run", "check recipe, model and data, say what would be done, and stop", false)
    .addHelpText("after", "\nExample:\n  tokenwise train recipes/hh-tdpo2.yaml --set learningRate=1e-5 output=runs/try")
    .action(async (file: string, options: { set?: string[]; resume: boolean; overwrite: boolean; dryRun: boolean }) => {
      const recipe = await readRecipe(file, options.set);
      const { resume, overwrite, dryRun } = options;
      const reporter = withoutRepeats(progressReporter());
      const result = await untilInterrupted("stopping: a checkpoint will be written", (signal) =>
        train(recipe, { resume, overwrite, dryRun, signal, reporter }),
      );
      console.log(shownMessage(describe(result)));
      if (result.status === "stopped") exit(interrupted);
    });
}

function describe({ stage, status, step, model, checkpoint }: PipelineResult): string {
  if (stage === "weigh") return continueWeighing;
  if (status === "finished") return `model: ${model}`;
  if (status === "checked") return "the recipe is good";
  if (checkpoint) return `stopped after step ${step}; continue with --resume from ${checkpoint}`;
  return step > 0 ? `stopped after step ${step}, without a checkpoint` : "stopped before the first step";
}
