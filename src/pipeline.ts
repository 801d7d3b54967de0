import { defineRecipe } from "./recipe/parse.ts";
import type { RecipeInput } from "./recipe/recipe-input.ts";
import type { Recipe } from "./recipe/schema.ts";
import { type MetricsRecord, type Reporter, silentReporter } from "./report.ts";
import { RunFolder } from "./runs/run-folder.ts";
import { isWeighted } from "./runs/token-weights.ts";
import { checkOutput } from "./train/plan.ts";
import { type TrainOptions, type TrainResult, trainRun } from "./train/run.ts";
import { weigh } from "./weigh/weigh.ts";

export interface PipelineOptions extends Omit<TrainOptions, "reporter"> {
  /** Hears notes, warnings, progress and metrics; what it does not take is not told. */
  readonly reporter?: Partial<Reporter>;
  /** Called with each line of training metrics. */
  readonly onStep?: (record: MetricsRecord) => void;
  /** Called with the metrics of each evaluation on held-out examples. */
  readonly onEvaluation?: (record: MetricsRecord) => void;
}

/** The result of all stages. */
export interface PipelineResult extends TrainResult {
  /** The stage that ended the work. */
  readonly stage: "weigh" | "train";
  /** All metrics that this call recorded, as metrics.jsonl has them. */
  readonly metrics: readonly MetricsRecord[];
}

/**
 * Trains as a recipe says, in all its stages: where `weights` asks for estimates, the contrastive
 * models are trained and the tokens estimated first. Finished stages are skipped, interrupted ones
 * continue.
 *
 * @param given a recipe that was read, or a plain object of settings
 * @throws UserError for anything wrong with the recipe, the models or the data.
 */
export async function train(given: RecipeInput | Recipe, options: PipelineOptions = {}): Promise<PipelineResult> {
  const recipe = defineRecipe(given);
  const metrics: MetricsRecord[] = [];
  const told: Reporter = { ...silentReporter, ...options.reporter };
  const reporter: Reporter = {
    ...told,
    record(record) {
      metrics.push(record);
      told.record(record);
      (record.split === "train" ? options.onStep : options.onEvaluation)?.(record);
    },
  };
  const stages = (locked: boolean) => trainStages(recipe, { ...options, reporter, locked }, told);
  const result =
    options.dryRun || options.locked
      ? await stages(options.locked ?? false)
      : await new RunFolder(recipe.output).whileLocked(() => stages(true));
  return { ...result, metrics };
}

async function trainStages(
  recipe: Recipe,
  options: TrainOptions & { readonly reporter: Reporter },
  told: Reporter,
): Promise<Omit<PipelineResult, "metrics">> {
  const { resume = false, overwrite = false, dryRun = false, reporter, signal } = options;
  // A run that is resumed keeps the weights that it began with.
  if (isWeighted(recipe) && recipe.weights.from !== "file" && !resume) {
    // An output that cannot be used shows before hours of estimation.
    await checkOutput(recipe, { resume, overwrite });
    // The metrics of contrastive models are shown, and are not those of the run.
    const { status } = await weigh(recipe, { reporter: told, dryRun, ...(signal && { signal }) });
    if (status === "stopped") return { stage: "weigh", status, step: 0 };
    if (!dryRun) reporter.note(`training: ${recipe.output}`);
  }
  return { stage: "train", ...(await trainRun(recipe, options)) };
}
