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
import { spreadOfLosses } from "../step/indifference.ts";
import { type Metrics, summarize } from "../step/metrics.ts";
import { type ScoredExample, scoreExamples } from "../step/scorer.ts";
import type { StepResult, Trainer } from "../step/trainer.ts";
import type { HeldOutSampler } from "./samples.ts";
import { rounded, TrainingLog } from "./training-log.ts";

/** The events that the loop reports. */
export interface LoopEvents extends Pick<Reporter, "progress" | "warn"> {
  record(record: MetricsRecord): Promise<void>;
  samples(records: readonly SamplesRecord[]): Promise<void>;
  /**
   * @param options.keepOlder do not remove older checkpoints in turn
   * @returns false if it could not be written, and the run goes on without
   */
  checkpoint(progress: Progress, options?: { keepOlder: boolean }): Promise<boolean>;
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
  /** True if the evaluation at `start` is on record already. */
  evaluated: boolean;
  /** The figures that the run began with, as far as they are on record already. */
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
export function trainLoop(options: LoopOptions): Promise<{ progress: Progress; finished: boolean }> {
  return new TrainingLoop(options).run();
}

class TrainingLoop {
  readonly #options: LoopOptions;
  readonly #watched: readonly TokenizedExample[];
  readonly #log: TrainingLog;
  readonly #falling = new FallingWatch();
  readonly #diverging: DivergenceWatch;
  readonly #clock = { training: 0, steps: 0, checkpoint: performance.now() };
  #progress: Progress;
  #evaluated: boolean;
  /** The step of the newest checkpoint that was written here. */
  #checkpointStep = -1;

  constructor(options: LoopOptions) {
    const { recipe, objective, heldOut, beginning } = options;
    this.#options = options;
    this.#watched = heldOut.slice(0, recipe.evaluation.examples);
    this.#log = new TrainingLog(recipe, objective);
    this.#diverging = new DivergenceWatch(objective.reference === "loss", beginning);
    this.#progress = options.start;
    this.#evaluated = options.evaluated;
  }

  async run(): Promise<{ progress: Progress; finished: boolean }> {
    const { signal, events } = this.#options;
    while (true) {
      if (this.#isEvaluationDue && !(await this.#evaluate())) break;
      if (this.#isTrained || signal.aborted) break;
      if (this.#isCheckpointDue) await this.#checkpoint();
      if (!(await this.#step())) break;
    }
    await this.#checkpoint();
    const finished = this.#isTrained && (this.#evaluated || this.#watched.length === 0);
    const warning = finished && this.#diverging.atEnd();
    if (warning) events.warn(warning);
    return { progress: this.#progress, finished };
  }

  get #isTrained(): boolean {
    return this.#progress.examples >= this.#options.totalExamples;
  }

  get #isEvaluationDue(): boolean {
    const { atStart, everySteps } = this.#options.recipe.evaluation;
    const { step } = this.#progress;
    const isDue = step === 0 ? atStart : everySteps !== undefined && step % everySteps === 0;
    return this.#watched.length > 0 && !this.#evaluated && (this.#isTrained || isDue);
  }

  get #isCheckpointDue(): boolean {
    const { recipe, start } = this.#options;
    const { everySteps, everyMinutes } = recipe.checkpoints;
    const { step } = this.#progress;
    if (step <= start.step) return false;
    if (everySteps) return step % everySteps === 0;
    return performance.now() - this.#clock.checkpoint >= everyMinutes * 60_000;
  }

  #record(split: MetricsRecord["split"], metrics: Metrics): Promise<void> {
    const { events, source } = this.#options;
    const epoch = epochOf(this.#progress, source.epochLength);
    return events.record({ split, step: this.#progress.step, epoch, ...metrics });
  }

  /**
   * Every step is in one record: none is open while a checkpoint is written, so that a resumed run
   * has nothing to add to it.
   */
  async #closeRecord(): Promise<void> {
    const metrics = this.#log.take();
    if (metrics) await this.#record("train", { examples: this.#progress.examples, ...metrics });
  }

  /** Writes a checkpoint, unless there is one of this step. */
  async #checkpoint(): Promise<void> {
    await this.#closeRecord();
    const { step } = this.#progress;
    if (step !== this.#checkpointStep && (await this.#options.events.checkpoint(this.#progress)))
      this.#checkpointStep = step;
    this.#clock.checkpoint = performance.now();
  }

  /** Evaluates, and samples; false when aborted on the way. */
  async #evaluate(): Promise<boolean> {
    const { sampler, events, signal } = this.#options;
    await this.#closeRecord();
    const metrics = await evaluateExamples(this.#options, this.#watched);
    const sampled = (done: number, total: number) => events.progress({ activity: "evaluation", done, total });
    const samples = metrics && (await sampler?.sample(this.#progress.step, signal, sampled));
    if (!metrics || (sampler && !samples)) return false;
    if (samples) await events.samples(samples);
    await this.#record("evaluation", metrics);
    this.#diverging.evaluated(this.#progress.step, metrics);
    this.#evaluated = true;
    return true;
  }

  /** One optimizer step; false when aborted before its update. */
  async #step(): Promise<boolean> {
    const { recipe, trainer, source, totalExamples, signal } = this.#options;
    const wanted = Math.min(recipe.batchSize, totalExamples - this.#progress.examples);
    const { examples, position } = await source.next(wanted);
    const began = performance.now();
    const result = await trainer.step(examples, signal);
    const seconds = (performance.now() - began) / 1000;
    if (!result) return false;
    if (!Number.isFinite(result.loss) || !Number.isFinite(result.gradientNorm)) await this.#giveUp(result);
    const state = Object.keys(trainer.objectiveState).length > 0 ? { objective: trainer.objectiveState } : {};
    const { step, examples: before } = this.#progress;
    this.#progress = { ...this.#progress, ...state, step: step + 1, examples: before + examples.length, position };
    this.#evaluated = false;
    this.#clock.steps++;
    this.#clock.training += seconds;
    this.#warn(result);
    this.#log.add(examples, result, seconds);
    if (this.#isTrained || this.#log.isDue(this.#progress.step)) await this.#closeRecord();
    this.#showProgress();
    return true;
  }

  /** Ends a run whose loss or gradient is no number any more. */
  async #giveUp({ loss, gradientNorm }: StepResult): Promise<never> {
    await this.#closeRecord();
    // Weights that are not finite themselves cannot be saved; older checkpoints stay, since these
    // weights may be ruined already.
    await this.#options.events.checkpoint(this.#progress, { keepOlder: true }).catch(() => undefined);
    const figures = `loss ${loss}, gradient norm ${gradientNorm}`;
    throw new UserError(`the training has diverged in step ${this.#progress.step + 1} (${figures})`, {
      hint: "begin again with a lower `learningRate` or a longer warm-up; the checkpoints before this step are kept",
    });
  }

  #warn({ examples, loss }: StepResult): void {
    const { trainer, objective, events } = this.#options;
    const indifference = () => trainer.lossOfIndifference(examples);
    const spread = spreadOfLosses(examples, objective);
    const warnings = [watchedLogRatio(examples, this.#falling), this.#diverging.observe(loss, indifference, spread)];
    for (const warning of warnings) if (warning) events.warn(warning);
  }

  #showProgress(): void {
    const { events, totalSteps } = this.#options;
    const { training, steps } = this.#clock;
    const { step } = this.#progress;
    const secondsLeft = (training / steps) * (totalSteps - step);
    events.progress({ activity: "train", done: step, total: totalSteps, secondsLeft });
  }
}

/** Metrics over examples, exactly; undefined when aborted on the way. */
async function evaluateExamples(
  { trainer, objective, recipe, events, signal }: LoopOptions,
  examples: readonly TokenizedExample[],
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
  return { ...metrics, examples: examples.length, seconds: rounded(seconds) };
}

function watchedLogRatio(examples: readonly ScoredExample[], falling: FallingWatch): string | undefined {
  const ratios = examples.flatMap(({ responses: [chosen, rejected] }) =>
    rejected && chosen?.referenceLogp
      ? [chosen.policyLogp!.reduce((sum, logp, t) => sum + logp - chosen.referenceLogp![t]!, 0)]
      : [],
  );
  return ratios.length > 0 ? falling.observe(ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length) : undefined;
}

function epochOf({ position }: Progress, count: number): number {
  return rounded(position.epoch + position.index / count);
}
