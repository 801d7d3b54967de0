import { availableParallelism } from "node:os";
import { shuffledExamples } from "../data/source.ts";
import { type Backend, createEngine } from "../engine/create.ts";
import type { InterruptibleEngine } from "../engine/interruptible.ts";
import { isDiskFull } from "../files/file-system.ts";
import type { Objective } from "../objectives/objective.ts";
import { placeInRecipe } from "../recipe/parse.ts";
import type { Recipe } from "../recipe/schema.ts";
import { type Reporter, silentReporter } from "../report.ts";
import { readProgress, saveCheckpoint, saveModel } from "../runs/checkpoint.ts";
import { modelWithoutRoom, saveIfRoom } from "../runs/disk-room.ts";
import { roundingWarning } from "../runs/rounding-warning.ts";
import { RunFolder } from "../runs/run-folder.ts";
import { withTokenizerFolder } from "../runs/starting-point.ts";
import { type LoopEvents, trainLoop } from "./loop.ts";
import { type OpenRun, openRun } from "./open.ts";
import { planRun, type RunPlan } from "./plan.ts";

export interface TrainOptions {
  /** Continue from the newest checkpoint of the run in `recipe.output`. */
  resume?: boolean;
  /** Replace the run that is in `recipe.output`. */
  overwrite?: boolean;
  /** Check recipe, model and data, say what would be done, and stop. */
  dryRun?: boolean;
  /** The caller holds the lock of `recipe.output`. */
  locked?: boolean;
  signal?: AbortSignal;
  /** The loss to train with, instead of the recipe's `objective`. */
  objective?: Objective;
  /** The library that computes. Default: ONNX Runtime. */
  backend?: Backend;
  reporter?: Reporter;
}

export interface TrainResult {
  readonly status: "finished" | "stopped" | "checked";
  readonly step: number;
  /** The trained model's folder, if finished. */
  readonly model?: string;
  /** The newest checkpoint. */
  readonly checkpoint?: string;
}

/**
 * Trains the run of a recipe: plans it, opens it, loops, and saves the model into the run's folder.
 * Importance weights must be estimated before; `train` in pipeline.ts does both.
 *
 * @throws UserError for anything wrong with the recipe, the model or the data, before anything is
 * written.
 */
export async function trainRun(recipe: Recipe, options: TrainOptions = {}): Promise<TrainResult> {
  const { resume = false, overwrite = false, dryRun = false, reporter = silentReporter, objective } = options;
  const { signal = new AbortController().signal } = options;
  try {
    const work = () =>
      withTokenizerFolder(recipe, async (tokenizer): Promise<TrainResult> => {
        const plan = await planRun(recipe, tokenizer, { resume, overwrite, dryRun, reporter, objective });
        if (dryRun) return { status: "checked", step: 0 };
        const threads = recipe.threads ?? availableParallelism();
        const engine = await createEngine({ backend: options.backend, threads });
        try {
          return await carryOut(plan, engine, { signal, reporter });
        } finally {
          engine.dispose();
        }
      });
    return await (dryRun || options.locked ? work() : new RunFolder(recipe.output).whileLocked(work));
  } catch (error) {
    throw placeInRecipe(recipe, error);
  }
}

async function carryOut(
  plan: RunPlan,
  engine: InterruptibleEngine,
  { signal, reporter }: { signal: AbortSignal; reporter: Reporter },
): Promise<TrainResult> {
  const { recipe, folder, objective, train, heldOut, totalExamples, totalSteps } = plan;
  const run = await openRun(plan, engine, { signal, reporter });
  if (!run) return stoppedAt(plan.checkpoint);
  const saved = { checkpoint: plan.checkpoint };
  let end: Awaited<ReturnType<typeof trainLoop>> | undefined;
  try {
    end = await trainLoop({
      recipe,
      objective,
      trainer: run.trainer,
      source: shuffledExamples(train, recipe.seed, run.progress.position),
      heldOut,
      sampler: run.sampler,
      totalExamples,
      totalSteps,
      signal,
      start: run.progress,
      evaluated: run.evaluated,
      beginning: run.beginning,
      events: eventsOf(plan, run, saved, reporter),
    });
  } finally {
    await run.reference?.cache?.close({ keep: !end?.finished });
  }
  const result = { step: end.progress.step, ...(saved.checkpoint && { checkpoint: saved.checkpoint }) };
  if (!end.finished) return { status: "stopped", ...result };
  const warning =
    recipe.dtype === "bfloat16" ? await roundingWarning(engine, plan.start.folder, run.policy) : undefined;
  if (warning !== undefined) reporter.warn(warning);
  try {
    await saveModel(engine, folder.model, run.policy, run.companions, recipe.dtype);
  } catch (error) {
    throw isDiskFull(error) ? modelWithoutRoom(folder.model, run.sizes, saved.checkpoint, error) : error;
  }
  return { status: "finished", ...result, model: folder.model };
}

/** The result of a run that was stopped before it began to train. */
async function stoppedAt(checkpoint: string | undefined): Promise<TrainResult> {
  if (!checkpoint) return { status: "stopped", step: 0 };
  return { status: "stopped", step: (await readProgress(checkpoint)).step, checkpoint };
}

/** The loop's events, written into the run's folder. */
function eventsOf(
  { recipe, folder }: RunPlan,
  { engine, policy, trainer, frozen, companions, sizes }: OpenRun,
  saved: { checkpoint: string | undefined },
  reporter: Reporter,
): LoopEvents {
  return {
    progress: (state) => reporter.progress(state),
    warn: (message) => reporter.warn(message),
    samples: (records) => folder.appendSamples(records),
    async record(record) {
      await frozen.checkUnchanged();
      await folder.appendMetrics(record);
      reporter.record(record);
    },
    async checkpoint(progress, { keepOlder } = { keepOlder: false }) {
      await frozen.checkUnchanged();
      const keep = keepOlder ? Number.POSITIVE_INFINITY : recipe.checkpoints.keep;
      const state = { policy, optimizer: trainer.optimizer, progress, tokenizerFrom: companions, keep };
      const problem = await saveIfRoom(folder.checkpoints, sizes, async () => {
        saved.checkpoint = await saveCheckpoint(engine, folder.checkpoints, state);
      });
      if (problem === undefined) return true;
      const last = saved.checkpoint === undefined ? "there is none before it" : "the last one stays";
      reporter.warn(`no checkpoint of step ${progress.step}, for the disk is full (${problem}); ${last}`);
      return false;
    },
  };
}
