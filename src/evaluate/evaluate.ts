import { availableParallelism } from "node:os";
import { createEngine } from "../engine/create.ts";
import type { Engine } from "../engine/engine.ts";
import { untilAborted } from "../engine/interruptible.ts";
import { UserError } from "../errors.ts";
import { createObjective, type ObjectiveOptions } from "../objectives/index.ts";
import type { Objective } from "../objectives/objective.ts";
import { withImportanceWeights } from "../objectives/token-rules.ts";
import { type Reporter, silentReporter } from "../report.ts";
import { isWeighted, weighRun } from "../runs/token-weights.ts";
import { Learner } from "../step/learner.ts";
import type { Metrics } from "../step/metrics.ts";
import { defaultMicrobatch } from "../step/microbatches.ts";
import { Scorer, scoreExamples } from "../step/scorer.ts";
import { loadLanguageModel } from "../storage/load-model.ts";
import { type HeldOut, type HeldOutOptions, readHeldOut } from "./held-out.ts";
import { measure, measureStatistics } from "./measures.ts";
import { ModelLoader } from "./models.ts";
import { type ObjectiveChange, objectiveFor } from "./objective.ts";
import { checkContext, openReference, type Reference } from "./reference.ts";

import { defaultSampleOptions, measureSamples, type SampleOptions } from "./samples.ts";
import { openSubject, type Subject } from "./subject.ts";

export interface EvaluateOptions extends HeldOutOptions, Partial<SampleOptions> {
  /** Model folders and folders of runs. */
  readonly models: readonly string[];
  /** A model folder to compare all models with, instead of what their runs recorded. */
  readonly reference?: string | undefined;
  /** Changes to the recorded objectives. */
  readonly objective?: ObjectiveChange | undefined;
  /** All cores by default. */
  readonly threads?: number | undefined;
  readonly reporter?: EvaluationReporter | undefined;
  /** Ends the evaluation early. */
  readonly signal?: AbortSignal | undefined;
}

/** The receiver of an evaluation's messages. */
export type EvaluationReporter = Omit<Reporter, "record">;

/** The figures of one model. */
export interface Evaluation {
  /** The path that it was asked for by. */
  readonly model: string;
  /** null where only log-probabilities were measured. */
  readonly objective: ObjectiveOptions | null;
  /** The folder of the reference, or what else it is. */
  readonly reference: string | null;
  readonly examples: number;
  /** See `summarize`, `measure` and `measureSamples`. */
  readonly metrics: Metrics;
}

/** The evaluation of one model. */
interface Task {
  readonly subject: Subject;
  readonly options: ObjectiveOptions | undefined;
  readonly objective: Objective | undefined;
  readonly reference: Reference | undefined;
}

/**
 * Evaluates models on the same held-out examples, one after another.
 *
 * A run brings its objective, its reference, its limits, and its held-out examples unless others
 * are given; its figures are then those of its last evaluation in training. A plain model folder
 * without a reference is measured by its log-probabilities alone.
 *
 * @returns undefined if the signal came first
 * @throws UserError for anything wrong with models, references or data, before any weights are
 * loaded.
 */
export async function evaluate(options: EvaluateOptions & { readonly signal?: undefined }): Promise<Evaluation[]>;
export async function evaluate(options: EvaluateOptions): Promise<Evaluation[] | undefined>;
export async function evaluate(options: EvaluateOptions): Promise<Evaluation[] | undefined> {
  const { reporter = silentReporter, threads = availableParallelism() } = options;
  const subjects: Subject[] = [];
  for (const name of options.models) subjects.push(await openSubject(name));
  for (const note of new Set(subjects.flatMap(({ notes }) => notes))) reporter.note(note);
  const heldOut = await readHeldOut(subjects, options, reporter);
  const tasks: Task[] = [];
  for (const subject of subjects) tasks.push(await taskFor(subject, heldOut, options));
  if (new Set(tasks.flatMap(({ reference }) => reference?.key ?? [])).size > 1)
    reporter.warn("the models have different references: their rewards and divergences measure from different points");

  const engine = await createEngine({ threads });
  try {
    const loader = new ModelLoader(engine);
    const evaluations: Evaluation[] = [];
    for (const task of tasks) {
      const work = () => evaluateTask(engine, loader, task, heldOut, options);
      // Nothing is tidied, for the engine is not used any more.
      const evaluation = await untilAborted(engine, options.signal, work, () => {});
      if (!evaluation) return undefined;
      evaluations.push(evaluation);
    }
    return evaluations;
  } finally {
    engine.dispose();
  }
}

async function evaluateTask(
  engine: Engine,
  loader: ModelLoader,
  task: Task,
  { examples: heldOut }: HeldOut,
  options: EvaluateOptions,
): Promise<Evaluation | undefined> {
  const { subject, objective } = task;
  const { name, folder, tokenizer, recipe } = subject;
  const { reporter = silentReporter, signal } = options;
  if (signal?.aborted) return undefined;
  const progress = (activity: string) => ({
    progress: ({ done, total }: { done: number; total: number }) =>
      reporter.progress({ activity: `${activity} ${name}`, done, total }),
  });
  progress("evaluating").progress({ done: 0, total: heldOut.length });
  const reference = await loader.loadReference(task.reference);
  const policy = await loader.load({
    configuration: folder.configuration,
    load: (_, like) => loadLanguageModel(engine, folder, { ...like, base: recipe?.lora?.base }),
  });
  const { examples, weights } = await weighed(task, heldOut, reporter);
  const used = objective && weights ? withImportanceWeights(objective) : objective;
  const learner = used && new Learner({ engine, policy, reference, objective: used });
  const scorer = learner?.scorer ?? new Scorer({ engine, policy, reference });
  const limits = recipe?.microbatch ?? defaultMicrobatch;
  const onProgress = (done: number, total: number) => progress("evaluating").progress({ done, total });
  const scored = await scoreExamples(scorer, examples, limits, onProgress, signal);
  if (!scored) return undefined;
  const metrics = learner ? measure(learner.judge(scored), used!) : measureStatistics(scored);
  const sampling = { ...defaultSampleOptions, ...options };
  if (sampling.samples > 0) {
    const models = { policy, reference, tokenizer };
    const measured = await measureSamples(engine, models, examples, sampling, progress);
    if (!measured) return undefined;
    Object.assign(metrics, measured);
  }
  loader.release(policy);
  return {
    model: name,
    objective: task.options ?? null,
    reference: task.reference?.name ?? null,
    examples: examples.length,
    metrics,
  };
}

/**
 * The examples with the importance weights that their run gives them; its own objective only is
 * evaluated with weights.
 */
async function weighed(
  { subject: { name, recipe, folder }, options, objective }: Task,
  examples: HeldOut["examples"],
  reporter: Pick<EvaluationReporter, "warn" | "note">,
): Promise<{ examples: HeldOut["examples"]; weights: boolean }> {
  if (recipe && isWeighted(recipe) && options?.name === recipe.objective.name) {
    try {
      const { heldOut } = await weighRun(recipe, folder.path, { train: [], heldOut: examples });
      reporter.note(`${name}: weights know which answer is the chosen one, so compare by the plain rewards`);
      return { examples: heldOut, weights: true };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      reporter.warn(`${name}: every token counts as 1, for ${error.message}`);
    }
  } else if (objective?.weights === "required") {
    reporter.warn(`${name}: every token counts as 1, for it was not trained with weights`);
  }
  return { examples, weights: false };
}

async function taskFor(subject: Subject, { supervised, examples }: HeldOut, given: EvaluateOptions): Promise<Task> {
  const change = given.objective ?? {};
  if (supervised) {
    const superfluous = given.reference
      ? "reference"
      : Object.entries(change).some(([, value]) => value !== undefined) && "objective";
    if (superfluous) {
      const problem = "needs pairs of answers, and the run was trained on single ones";
      throw new UserError(problem, { field: superfluous, hint: "give pairs with `data`" });
    }
    return { subject, options: supervised, objective: createObjective(supervised), reference: undefined };
  }
  const options = objectiveFor(subject, change, given.reference !== undefined);
  const objective = options && createObjective(options);
  const reference = objective ? await openReference(subject, given.reference) : undefined;
  if (objective?.reference === "loss" && !reference) {
    const problem = `${objective.name} needs a reference, and this model brings none`;
    throw new UserError(problem, { file: subject.name, hint: "give it with `reference`" });
  }
  if (reference) checkContext(reference, examples);
  return { subject, options, objective, reference };
}
