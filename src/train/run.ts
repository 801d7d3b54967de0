import { availableParallelism } from "node:os";
import { prepareExamples } from "../data/prepare.ts";
import { type Backend, createEngine } from "../engine/create.ts";
import type { InterruptibleEngine } from "../engine/interruptible.ts";
import { UserError } from "../errors.ts";
import { beforeTraining, loadLanguageModel } from "../models/language-model.ts";
import { createObjective } from "../objectives/index.ts";
import { placeInRecipe } from "../recipe/parse.ts";
import type { Recipe } from "../recipe/schema.ts";
import { checkpointModel, type Progress, restoreOptimizer, saveCheckpoint, saveModel } from "../runs/checkpoint.ts";
import { FrozenModels, frozenFolders } from "../runs/frozen-models.ts";
import { fingerprintOf, newestCheckpoint, progressOfSame } from "../runs/resume.ts";
import { RunFolder } from "../runs/run-folder.ts";
import { startingPoint, withTokenizerFolder } from "../runs/starting-point.ts";
import { isEstimated, isWeighted, weighRun } from "../runs/token-weights.ts";
import { Optimizer } from "../step/optimizer.ts";
import { Trainer } from "../step/trainer.ts";
import { checkReplaceable, readCompanions } from "../storage/save-folder.ts";
import { type LoopEvents, runLength, trainLoop } from "./loop.ts";
import { planMemory } from "./memory-plan.ts";
import { openReference, prepareReference } from "./reference.ts";
import { HeldOutSampler } from "./samples.ts";

export interface TrainOptions {
  /** Continue from the newest checkpoint of the run in `recipe.output`. */
  resume?: boolean;
  /** Replace the run that is in `recipe.output`. */
  overwrite?: boolean;
  /** Check recipe, model and data, say what would be done, and stop. */
  dryRun?: boolean;
  signal?: AbortSignal;
  /** What computes. Default: ONNX Runtime. */
  backend?: Backend;
  reporter?: Reporter;
}

/** Where a run's messages go. */
export interface Reporter extends Pick<LoopEvents, "progress" | "warn"> {
  note(message: string): void;
  record: (record: Parameters<LoopEvents["record"]>[0]) => void;
}

export interface TrainResult {
  readonly status: "finished" | "stopped" | "checked";
  readonly step: number;
  /** The trained model's folder, if finished. */
  readonly model?: string;
  /** The newest checkpoint. */
  readonly checkpoint?: string;
}

const silent: Reporter = { progress() {}, warn() {}, note() {}, record() {} };

/**
 * Runs a recipe: reads the data, trains, and saves the model into the run's folder.
 *
 * @throws UserError for anything wrong with the recipe, the model or the data, before anything is written.
 */
export async function train(recipe: Recipe, options: TrainOptions = {}): Promise<TrainResult> {
  const engines: InterruptibleEngine[] = [];
  const makeEngine = async () => {
    const threads = recipe.threads ?? availableParallelism();
    const engine = await createEngine({ backend: options.backend, threads });
    engines.push(engine);
    return engine;
  };
  try {
    return await withTokenizerFolder(recipe, (tokenizer) => run(recipe, options, { tokenizer, makeEngine }));
  } catch (error) {
    throw placeInRecipe(recipe, error);
  } finally {
    for (const engine of engines) engine.dispose();
  }
}

async function run(
  asked: Recipe,
  options: TrainOptions,
  { tokenizer, makeEngine }: { tokenizer: string | undefined; makeEngine: () => Promise<InterruptibleEngine> },
): Promise<TrainResult> {
  const {
    resume = false,
    overwrite = false,
    dryRun = false,
    signal = new AbortController().signal,
    reporter = silent,
  } = options;
  const folder = await checkOutput(asked, { resume, overwrite });
  const checkpoint = resume ? await newestCheckpoint(folder) : undefined;
  // A folder that the model cannot replace in the end.
  await checkReplaceable(folder.model);

  const objective = createObjective(asked.objective);
  const start = await startingPoint(asked, tokenizer);
  const prepared = await prepareExamples(asked, objective.responses, start.tokenizer, start.configuration);
  for (const note of prepared.notes) reporter.note(note);
  for (const warning of [...start.warnings, ...prepared.warnings]) reporter.warn(warning);
  const weights = isWeighted(asked);
  // Before a run begins, estimates that are missing or of other inputs are made.
  const unweighed = weights && dryRun && asked.weights.from !== "file";
  if (unweighed && !isEstimated(asked)) reporter.note("the importance weights are not estimated yet");
  const { train: examples, heldOut } =
    weights && !unweighed ? await weighRun(asked, start.tokenizerFolder, prepared) : prepared;
  const { recipe, note, warning, chunkRows } = planMemory(asked, objective, start, examples);
  if (note) reporter.note(note);
  if (warning) reporter.warn(warning);
  const { totalExamples, totalSteps } = runLength(recipe, examples.length);
  if (totalExamples < 1) {
    const problem = `${recipe.epochs} epochs of ${examples.length} examples are not one example`;
    throw new UserError(problem, { field: "epochs" });
  }
  const compared = await openReference(recipe, objective, start.configuration);
  reporter.note(`${objective.name}: ${totalSteps} steps of ${recipe.batchSize} examples`);
  if (dryRun) return { status: "checked", step: 0 };

  const tokenizerFrom = await readCompanions(start.tokenizerFolder);
  const frozen = await FrozenModels.of(frozenFolders(start, compared));
  const engine = await makeEngine();
  const policy = checkpoint ? await start.resume(engine, checkpointModel(checkpoint)) : await start.load(engine);
  const optimizer = new Optimizer(engine, recipe.optimizer, policy.trainable);
  let progress: Progress = {
    ...{ step: 0, examples: 0, position: { epoch: 0, index: 0 }, data: fingerprintOf(examples) },
    ...(frozen.fingerprint !== undefined && { frozen: frozen.fingerprint }),
  };
  if (checkpoint) {
    progress = await progressOfSame(checkpoint, progress);
    await restoreOptimizer(checkpoint, optimizer, progress.step);
    reporter.note(`resumed at step ${progress.step}`);
  }
  // A reference that cannot be read shows before anything is written or removed.
  const other =
    compared && compared !== "start"
      ? await loadLanguageModel(engine, compared, { like: policy, frozen: true })
      : undefined;

  let saved = checkpoint;
  if (signal.aborted) return { status: "stopped", step: progress.step, ...(saved && { checkpoint: saved }) };
  if (overwrite && !resume) await folder.remove();
  await folder.writeRecipe(asked);
  const { evaluated } = await folder.rewindMetrics(progress.step);
  const referenceFolder = compared === "start" ? start.folder : compared;
  const reference =
    compared &&
    (await prepareReference(recipe, {
      engine,
      policy,
      policyIsReference: compared === "start" && !checkpoint && !policy.adapter,
      fingerprint: referenceFolder && frozen.fingerprintOf(referenceFolder),
      load: async () => {
        if (other) return other;
        if (policy.adapter) return beforeTraining(engine, policy, start.folder!);
        return start.load(engine, { like: policy, frozen: true });
      },
      train: examples,
      heldOut,
      file: folder.referenceCache,
      signal,
      events: reporter,
    }));
  const trainer = new Trainer({
    engine,
    policy,
    reference: reference?.model,
    objective,
    optimizer,
    schedule: { learningRate: recipe.learningRate, warmupSteps: recipe.warmupSteps, decay: recipe.schedule },
    totalSteps,
    maxGradientNorm: recipe.maxGradientNorm,
    microbatch: recipe.microbatch,
    activationCheckpointing: recipe.activationCheckpointing,
    chunkRows,
    weights,
    seed: recipe.seed,
  });
  trainer.learner.referenceCache = reference?.cache;
  const { samples } = recipe.evaluation;
  const models = { policy, reference: reference?.model };
  const sampler =
    samples > 0
      ? new HeldOutSampler(engine, models, start.tokenizer, heldOut, { samples, seed: recipe.seed })
      : undefined;
  let end: Awaited<ReturnType<typeof trainLoop>> | undefined;
  try {
    end = await trainLoop({
      ...{
        recipe,
        objective,
        trainer,
        train: examples,
        heldOut,
        sampler,
        totalExamples,
        signal,
        start: progress,
        evaluated,
      },
      events: {
        ...reporter,
        samples: (records) => folder.appendSamples(records),
        record: async (record) => {
          await frozen.checkUnchanged();
          await folder.appendMetrics(record);
          reporter.record(record);
        },
        checkpoint: async (reached, { keepOlder } = { keepOlder: false }) => {
          await frozen.checkUnchanged();
          const keep = keepOlder ? Number.POSITIVE_INFINITY : recipe.checkpoints.keep;
          const state = { policy, optimizer, progress: reached, tokenizerFrom, keep };
          saved = await saveCheckpoint(folder.checkpoints, state);
        },
      },
    });
  } finally {
    await reference?.cache?.close({ keep: !end?.finished });
  }
  const result = { step: end.progress.step, ...(saved && { checkpoint: saved }) };
  if (!end.finished) return { status: "stopped", ...result };
  await saveModel(folder.model, policy, tokenizerFrom, recipe.dtype);
  return { status: "finished", ...result, model: folder.model };
}

/**
 * Checks that a run can be put into its recipe's `output`: new, in place of an earlier one, or as the continuation of one.
 *
 * @throws UserError otherwise.
 */
export async function checkOutput(
  recipe: Recipe,
  { resume, overwrite }: { resume: boolean; overwrite: boolean },
): Promise<RunFolder> {
  const folder = new RunFolder(recipe.output);
  if (resume) await folder.checkSame(recipe);
  else if (overwrite) await folder.checkOverwritable(recipe);
  else await folder.checkNew();
  return folder;
}
