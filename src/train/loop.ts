import { exampleLength } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";
import type { ExampleSource } from "../data/source.ts";
import { UserError } from "../errors.ts";
import type { Objective } from "../objectives/objective.ts";
import type { Recipe } from "../recipe/schema.ts";
import type { MetricsRecord, Reporter } from "../report.ts";
import type { Progress } from "../runs/checkpoint.ts";
import type { SamplesRecord } from "../runs/run-folder.ts";
import { type Beginning, DivergenceWatch } from "../step/diverging.ts";
import { FallingWatch } from "../step/falling.ts";
import type { JudgedExample } from "../step/learner.ts";
import { type Metrics, summarize } from "../step/metrics.ts";
import { type ScoredExample, scoreExamples } from "../step/scorer.ts";
import type { StepResult, Trainer } from "../step/trainer.ts";
import type { HeldOutSampler } from "./samples.ts";

/** What the loop tells the world. */
export interface LoopEvents extends Pick<Reporter, "progress" | "warn"> {
  record(record: MetricsRecord): Promise<void>;
  samples(records: readonly SamplesRecord[]): Promise<void>;
  /** @param keepOlder do not remove older checkpoints in turn */
  checkpoint(progress: Progress, options?: { keepOlder: boolean }): Promise<void>;
}

export interface LoopOptions {
  recipe: Recipe;
  objective: Objective;
  trainer: Trainer;
  /** Training examples, from `start` on. */
  source: ExampleSource;
  heldOut: readonly TokenizedExample[];
  /** Samples answers at each evaluation. */
  sampler?: HeldOutSampler | undefined;
  totalExamples: number;
  totalSteps: number;
  start: Progress;
  /** Whether the evaluation at `start` is on record already. */
  evaluated: boolean;
  /** What the run began with, as far as it is on record already. */
  beginning?: Beginning | undefined;
  events: LoopEvents;
  /**
   * When aborted, the loop gives up the step it is in, writes a checkpoint of the last whole step
   * and returns.
   */
  signal: AbortSignal;
}

/** Examples and steps that a recipe asks for, given the number of training examples. */
export function runLength(
  recipe: Pick<Recipe, "steps" | "examples" | "epochs" | "batchSize">,
  count: number,
): { totalExamples: number; totalSteps: number } {
  const totalExamples = recipe.steps
    ? recipe.steps * recipe.batchSize
    : (recipe.examples ?? Math.round((recipe.epochs ?? 0) * count));
  return { totalExamples, totalSteps: Math.ceil(totalExamples / recipe.batchSize) };
}

/**
 * Trains from `start` to the end, evaluating, logging and writing checkpoints on the way. Returns
 * where it stopped, and why.
 */
export async function trainLoop(options: LoopOptions): Promise<{ progress: Progress; finished: boolean }> {
  const { recipe, objective, trainer, source, heldOut, sampler, totalExamples, totalSteps, events, signal } = options;
  const watched = heldOut.slice(0, recipe.evaluation.examples);
  const log = new TrainingLog(recipe, objective);
  const falling = new FallingWatch();
  const diverging = new DivergenceWatch(objective.reference === "loss", options.beginning);
  const clock = { training: 0, steps: 0, checkpoint: performance.now() };
  let { start: progress, evaluated } = options;
  let checkpointStep = -1;

  const trained = () => progress.examples >= totalExamples;
  const record = (split: MetricsRecord["split"], metrics: Metrics) =>
    events.record({ split, step: progress.step, epoch: epochOf(progress, source.epochLength), ...metrics });
  /**
   * Every step is in one record: none is open while a checkpoint is written, so that a resumed run
   * has nothing to add to it.
   */
  const closeRecord = async () => {
    const metrics = log.take();
    if (metrics) await record("train", { examples: progress.examples, ...metrics });
  };
  const checkpoint = async () => {
    await closeRecord();
    if (progress.step !== checkpointStep) await events.checkpoint(progress);
    checkpointStep = progress.step;
    clock.checkpoint = performance.now();
  };
  const evaluate = async () => {
    await closeRecord();
    const metrics = await evaluateExamples(trainer, objective, watched, recipe, events, signal);
    const sampled = (done: number, total: number) => events.progress({ activity: "evaluation", done, total });
    const samples = metrics && (await sampler?.sample(progress.step, signal, sampled));
    if (!metrics || (sampler && !samples)) return false;
    if (samples) await events.samples(samples);
    await record("evaluation", metrics);
    diverging.evaluated(progress.step, metrics);
    return true;
  };

  while (true) {
    if (watched.length > 0 && !evaluated && (trained() || isEvaluationDue(recipe, progress.step))) {
      evaluated = await evaluate();
      if (!evaluated) break;
    }
    if (trained() || signal.aborted) break;
    if (progress.step > options.start.step && isCheckpointDue(recipe, progress.step, clock.checkpoint)) {
      await checkpoint();
    }
    const wanted = Math.min(recipe.batchSize, totalExamples - progress.examples);
    const { examples: batch, position } = await source.next(wanted);
    const began = performance.now();
    const result = await trainer.step(batch, signal);
    const seconds = (performance.now() - began) / 1000;
    if (!result) break;
    if (!Number.isFinite(result.loss) || !Number.isFinite(result.gradientNorm)) {
      await closeRecord();
      // Weights that are not finite themselves cannot be saved; older checkpoints stay, since these
      // weights may be ruined already.
      await events.checkpoint(progress, { keepOlder: true }).catch(() => undefined);
      const figures = `loss ${result.loss}, gradient norm ${result.gradientNorm}`;
      throw new UserError(`the training has diverged in step ${progress.step + 1} (${figures})`, {
        hint: "begin again with a lower `learningRate` or a longer warm-up; the checkpoints before this step are kept",
      });
    }
    const state = Object.keys(trainer.objectiveState).length > 0 ? { objective: trainer.objectiveState } : {};
    progress = { ...progress, ...state, step: progress.step + 1, examples: progress.examples + batch.length, position };
    evaluated = false;
    clock.steps++;
    clock.training += seconds;

    const indifference = () => trainer.lossOfIndifference(result.examples);
    const warnings = [watchedLogRatio(result.examples, falling), diverging.observe(result.loss, indifference)];
    for (const warning of warnings) if (warning) events.warn(warning);
    log.add(batch, result, seconds);
    if (trained() || log.isDue(progress.step)) await closeRecord();
    events.progress({
      activity: "train",
      done: progress.step,
      total: totalSteps,
      secondsLeft: (clock.training / clock.steps) * (totalSteps - progress.step),
    });
  }
  await checkpoint();
  const finished = trained() && (evaluated || watched.length === 0);
  const warning = finished && diverging.atEnd();
  if (warning) events.warn(warning);
  return { progress, finished };
}

/** Metrics over examples, exactly; undefined when aborted on the way. */
async function evaluateExamples(
  trainer: Trainer,
  objective: Objective,
  examples: readonly TokenizedExample[],
  recipe: Pick<Recipe, "microbatch">,
  events: Pick<LoopEvents, "progress">,
  signal: AbortSignal,
): Promise<Metrics | undefined> {
  const start = performance.now();
  const { learner } = trainer;
  const onProgress = (done: number, total: number) => events.progress({ activity: "evaluation", done, total });
  const scored = await trainer.untilAborted(signal, () =>
    scoreExamples(learner.scorer, examples, recipe.microbatch, onProgress, signal),
  );
  if (!scored) return undefined;
  const metrics = summarize(learner.judge(scored, trainer.objectiveState), objective);
  const seconds = (performance.now() - start) / 1000;
  return { ...metrics, examples: examples.length, seconds: round(seconds) };
}

/** Gathers steps for a record. */
class TrainingLog {
  readonly #recipe: Recipe;
  readonly #objective: Objective;
  #examples: JudgedExample[] = [];
  #norms: number[] = [];
  #tokens = 0;
  #seconds = 0;
  #learningRate = 0;

  constructor(recipe: Recipe, objective: Objective) {
    this.#recipe = recipe;
    this.#objective = objective;
  }

  add(batch: readonly TokenizedExample[], { examples, gradientNorm, learningRate }: StepResult, seconds: number): void {
    this.#examples.push(...examples);
    this.#norms.push(gradientNorm);
    this.#tokens += batch.reduce((sum, example) => sum + exampleLength(example), 0);
    this.#seconds += seconds;
    this.#learningRate = learningRate;
  }

  isDue(step: number): boolean {
    const { everySteps, minimumSeconds } = this.#recipe.logging;
    return step % everySteps === 0 && this.#seconds >= minimumSeconds;
  }

  /** The metrics over all steps since the last call; undefined if there was none. */
  take(): Metrics | undefined {
    if (this.#norms.length === 0) return undefined;
    const metrics = {
      ...summarize(this.#examples, this.#objective),
      grad_norm: this.#norms.reduce((sum, norm) => sum + norm, 0) / this.#norms.length,
      learning_rate: this.#learningRate,
      examples_per_second: round(this.#examples.length / this.#seconds),
      tokens_per_second: round(this.#tokens / this.#seconds),
      peak_memory_mib: Math.round(process.resourceUsage().maxRSS / 1024),
    };
    this.#examples = [];
    this.#norms = [];
    this.#tokens = 0;
    this.#seconds = 0;
    return metrics;
  }
}

function watchedLogRatio(examples: readonly ScoredExample[], falling: FallingWatch): string | undefined {
  const ratios = examples.flatMap(({ responses: [chosen, rejected] }) =>
    rejected && chosen?.referenceLogp
      ? [chosen.policyLogp!.reduce((sum, logp, t) => sum + logp - chosen.referenceLogp![t]!, 0)]
      : [],
  );
  return ratios.length > 0 ? falling.observe(ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length) : undefined;
}

function isEvaluationDue({ evaluation: { atStart, everySteps } }: Recipe, step: number): boolean {
  return step === 0 ? atStart : everySteps !== undefined && step % everySteps === 0;
}

function isCheckpointDue({ checkpoints }: Recipe, step: number, lastCheckpoint: number): boolean {
  if (checkpoints.everySteps) return step % checkpoints.everySteps === 0;
  return performance.now() - lastCheckpoint >= checkpoints.everyMinutes * 60_000;
}

function epochOf({ position }: Progress, count: number): number {
  return round(position.epoch + position.index / count);
}

function round(value: number): number {
  return Number(value.toPrecision(6));
}
