import type { TokenizedExample } from "../data/example.ts";
import { prepareExamples } from "../data/prepare.ts";
import { hasIdenticalAnswers } from "../data/truncation-report.ts";
import { UserError } from "../errors.ts";
import type { Objective } from "../objectives/objective.ts";
import { objectiveOf } from "../recipe/objective.ts";
import type { Recipe } from "../recipe/schema.ts";
import { newestCheckpoint } from "../runs/resume.ts";
import { RunFolder } from "../runs/run-folder.ts";
import { type StartingPoint, startingPoint } from "../runs/starting-point.ts";
import { isEstimated, isWeighted, weighRun } from "../runs/token-weights.ts";
import { checkReplaceable } from "../storage/save-folder.ts";
import { runLength } from "./loop.ts";
import { planMemory } from "./memory-plan.ts";
import { openReference, type ReferenceSource } from "./reference.ts";

/** All that is known of a run before a model is loaded. */
export interface RunPlan {
  /** The recipe as it was given, which the run's folder records. */
  readonly asked: Recipe;
  /** The recipe with what its `memory` switches on. */
  readonly recipe: Recipe;
  readonly folder: RunFolder;
  /** The checkpoint that the run goes on from. */
  readonly checkpoint: string | undefined;
  /** True if the run takes the place of an earlier one. */
  readonly replaces: boolean;
  readonly objective: Objective;
  /** True if a program gave the objective, in place of the recipe's. */
  readonly ownObjective: boolean;
  readonly start: StartingPoint;
  readonly reference: ReferenceSource;
  readonly train: readonly TokenizedExample[];
  readonly heldOut: readonly TokenizedExample[];
  readonly totalExamples: number;
  readonly totalSteps: number;
}

export interface PlanOptions {
  readonly resume: boolean;
  readonly overwrite: boolean;
  /** True if nothing is to follow the plan: importance weights need not be there yet. */
  readonly dryRun: boolean;
  /** Instead of the recipe's. */
  readonly objective?: Objective | undefined;
  /** Hears what the user should know. */
  readonly reporter: { note(message: string): void; warn(message: string): void };
}

/**
 * Checks a recipe against its files, reads the data and plans the memory. Writes nothing and loads
 * no model.
 *
 * @param tokenizer the folder of the tokenizer, where it is not that of the recipe's model
 * @throws UserError for anything wrong with the recipe, the model or the data.
 */
export async function planRun(
  asked: Recipe,
  tokenizer: string | undefined,
  { resume, overwrite, dryRun, reporter, objective: given }: PlanOptions,
): Promise<RunPlan> {
  const folder = await checkOutput(asked, { resume, overwrite });
  const checkpoint = resume ? await newestCheckpoint(folder) : undefined;
  // The trained model must be able to take this place in the end.
  await checkReplaceable(folder.model);
  const objective = objectiveOf(asked, given);
  const start = await startingPoint(asked, tokenizer);
  const { train, heldOut } = await readExamples(asked, objective, start, { dryRun, reporter });
  const { recipe, note, warning } = planMemory(asked, objective, start, train);
  if (note) reporter.note(note);
  if (warning) reporter.warn(warning);
  const { totalExamples, totalSteps } = runLength(recipe, train.length);
  if (totalExamples < 1) {
    const problem = `${recipe.epochs} epochs of ${train.length} examples are not one example`;
    throw new UserError(problem, { field: "epochs" });
  }
  const reference = await openReference(recipe, objective, start, [...train, ...heldOut]);
  for (const line of typeof reference === "object" ? reference.notes : []) reporter.note(line);
  reporter.note(`${objective.name}: ${totalSteps} steps of ${recipe.batchSize} examples`);
  return {
    asked,
    recipe,
    folder,
    checkpoint,
    replaces: overwrite && !resume,
    objective,
    ownObjective: given !== undefined,
    start,
    reference,
    train,
    heldOut,
    totalExamples,
    totalSteps,
  };
}

/** The examples of a run, with importance weights where the recipe asks for them. */
async function readExamples(
  recipe: Recipe,
  objective: Objective,
  start: StartingPoint,
  { dryRun, reporter }: Pick<PlanOptions, "dryRun" | "reporter">,
): Promise<{ train: readonly TokenizedExample[]; heldOut: readonly TokenizedExample[] }> {
  const prepared = await prepareExamples(recipe, objective.responses, start.tokenizer, start.configuration);
  for (const note of prepared.notes) reporter.note(note);
  for (const warning of [...start.warnings, ...prepared.warnings]) reporter.warn(warning);
  const examples = { ...prepared, train: withoutIdenticalAnswers(prepared.train) };
  if (!isWeighted(recipe)) return examples;
  if (!dryRun || recipe.weights.from === "file") return weighRun(recipe, start.tokenizerFolder, examples);
  // Estimates that are missing, or of other inputs, are made when the run itself begins.
  if (!isEstimated(recipe)) reporter.note("the importance weights are not estimated yet");
  return examples;
}

/**
 * Checks that a run can be put into its recipe's `output`: new, in place of an earlier one, or as
 * the continuation of one.
 *
 * @throws UserError otherwise.
 */
export async function checkOutput(
  recipe: Recipe,
  { resume, overwrite }: Pick<PlanOptions, "resume" | "overwrite">,
): Promise<RunFolder> {
  const folder = new RunFolder(recipe.output);
  if (resume) await folder.checkSame(recipe);
  else if (overwrite) await folder.checkOverwritable(recipe);
  else await folder.checkNew();
  return folder;
}

/**
 * Only pairs that can teach something. The gradients of two equal answers cancel but for rounding,
 * which Adam would blow up to a whole step, and terms on one side alone (as in TDPO2) would not
 * cancel at all.
 */
function withoutIdenticalAnswers(examples: readonly TokenizedExample[]): readonly TokenizedExample[] {
  const kept = examples.filter(({ responses }) => !hasIdenticalAnswers(responses));
  if (kept.length > 0 || examples.length === 0) return kept;
  throw new UserError("all training pairs have two answers of the same tokens, so there is nothing to learn", {
    field: "data.train",
    hint: "look at the data, and at `data.maxLength` where answers differ only behind it",
  });
}
