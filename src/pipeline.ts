import type { Recipe } from "./recipe/schema.ts";
import { silentReporter } from "./report.ts";
import { RunFolder } from "./runs/run-folder.ts";
import { isWeighted } from "./runs/token-weights.ts";
import { checkOutput } from "./train/plan.ts";
import { type TrainOptions, type TrainResult, trainRun } from "./train/run.ts";
import { weigh } from "./weigh/weigh.ts";

/** The result of all stages: `stage` says which one ended the work. */
export interface PipelineResult extends TrainResult {
  readonly stage: "weigh" | "train";
}

/**
 * Trains as a recipe says, in all its stages: where `weights` asks for estimates, the contrastive models are trained and
 * the tokens estimated first. Finished stages are skipped, interrupted ones continue.
 *
 * @throws UserError for anything wrong with the recipe, the models or the data.
 */
export async function train(recipe: Recipe, options: TrainOptions = {}): Promise<PipelineResult> {
  if (options.dryRun || options.locked) return trainStages(recipe, options);
  return new RunFolder(recipe.output).whileLocked(() => trainStages(recipe, { ...options, locked: true }));
}

async function trainStages(recipe: Recipe, options: TrainOptions): Promise<PipelineResult> {
  const { resume = false, overwrite = false, dryRun = false, reporter = silentReporter, signal } = options;
  // A run that is resumed keeps the weights that it began with.
  if (isWeighted(recipe) && recipe.weights.from !== "file" && !resume) {
    // An output that cannot be used shows before hours of estimation.
    await checkOutput(recipe, { resume, overwrite });
    const { status } = await weigh(recipe, { reporter, dryRun, ...(signal && { signal }) });
    if (status === "stopped") return { stage: "weigh", status, step: 0 };
    if (!dryRun) reporter.note(`training: ${recipe.output}`);
  }
  return { stage: "train", ...(await trainRun(recipe, options)) };
}
