import { type PackedBatch, packBatch } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";
import type { Engine, FloatArray, FloatValue } from "../engine/engine.ts";
import { type InterruptibleEngine, untilAborted } from "../engine/interruptible.ts";
import { nextTurn } from "../event-loop.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Objective } from "../objectives/objective.ts";
import { alone, type Group, gather } from "./group.ts";
import { lossOfIndifference } from "./indifference.ts";
import { type JudgedExample, Learner, type Place } from "./learner.ts";
import { divisorsOf, meansOf } from "./means.ts";
import { type MicrobatchLimits, microbatches } from "./microbatches.ts";
import type { ObjectiveState } from "./objective-evaluator.ts";
import type { Optimizer } from "./optimizer.ts";
import type { ReferenceModel } from "./reference-states.ts";
import { learningRateAt, type ScheduleOptions } from "./schedule.ts";
import type { ScoredExample } from "./scorer.ts";
import type { HeadSizes } from "./statistics-head.ts";

export interface TrainerOptions {
  /**
   * A step on an interruptible engine can be given up between two programs; on another one, only
   * when all of its gradient is there.
   */
  engine: Engine | InterruptibleEngine;
  policy: LanguageModel;
  /** The frozen model that the policy is compared with. */
  reference: ReferenceModel | undefined;
  objective: Objective;
  /** Of the policy's parameters. */
  optimizer: Optimizer;
  schedule: ScheduleOptions;
  totalSteps: number;
  /** Gradients are scaled down to this Euclidean norm where they exceed it. */
  maxGradientNorm: number;
  microbatch: MicrobatchLimits;
  /** Those who take a share of each step's examples; this process alone if absent. */
  group?: Group;
  /** See `Learner`. */
  activationCheckpointing?: boolean;
  /** See `StatisticsHead`. */
  headSizes?: HeadSizes;
  /** See `Learner`. */
  seed?: number;
}

export interface StepResult {
  /** In the order of the step's examples; of a group those of this rank. */
  examples: JudgedExample[];
  /** Over all ranks. The mean that was minimised, before the update. */
  loss: number;
  /** Before clipping. */
  gradientNorm: number;
  learningRate: number;
}

/**
 * The policy in training: its gradients, its optimizer, and one optimizer step over any number of
 * examples.
 */
export class Trainer {
  readonly optimizer: Optimizer;
  readonly learner: Learner;
  /** The objective's numbers that live from step to step. */
  objectiveState: ObjectiveState;
  readonly #options: TrainerOptions;
  readonly #gradients: Map<string, FloatValue>;

  constructor(options: TrainerOptions) {
    const { engine, policy } = options;
    this.#options = options;
    this.learner = new Learner(options);
    this.optimizer = options.optimizer;
    this.objectiveState = options.objective.initialState;
    this.#gradients = new Map([...policy.trainable].map(([name, { shape }]) => [name, engine.allocate(shape)]));
  }

  /**
   * Gradients, clipping, update. A rank of a group gives its own share of the step's examples,
   * which may be none; all ranks make the same update. The result does not depend on how the
   * examples fall into microbatches, but for rounding. Where the gradient is not finite, the
   * weights stay as they are.
   *
   * @param signal in a group, that of all ranks: one alone would leave the others waiting
   * @returns undefined when `signal` is aborted before the update; nothing has changed then.
   */
  async step(examples: readonly TokenizedExample[], signal?: AbortSignal): Promise<StepResult | undefined> {
    const computed = await this.untilAborted(signal, () => this.gradients(examples));
    if (!computed || signal?.aborted) return undefined;
    const { loss, scored, gradientNorm, objectiveState } = computed;
    const { maxGradientNorm, schedule, totalSteps } = this.#options;
    const learningRate = learningRateAt(this.optimizer.step, totalSteps, schedule);
    // PyTorch's clip_grad_norm_, its 1e-6 included.
    const gradientScale = Math.min(1, maxGradientNorm / (gradientNorm + 1e-6));
    if (Number.isFinite(gradientNorm)) {
      await this.optimizer.update(this.#gradients, { learningRate, gradientScale });
      this.objectiveState = objectiveState;
    }
    return { examples: scored, loss, gradientNorm, learningRate };
  }

  /** The loss of examples under a policy that knows nothing of its own; see indifference.ts. */
  lossOfIndifference(examples: readonly ScoredExample[]): number {
    const { objective, policy } = this.#options;
    const { vocabularySize } = policy.configuration;
    return lossOfIndifference(this.learner, objective, examples, { vocabularySize, state: this.objectiveState });
  }

  /**
   * Loss and gradient of a step's examples, without an update. The gradients stay readable until
   * the next call.
   */
  async gradients(examples: readonly TokenizedExample[]) {
    for (const gradient of this.#gradients.values()) {
      this.#options.engine.fill(gradient, 0);
      // All of them at once would keep the process from hearing Ctrl-C.
      await nextTurn();
    }
    const { objective } = this.#options;
    const divisors = divisorsOf(objective, examples);
    await this.#group.sum([divisors]);
    const { scale, shares } = meansOf(objective, divisors);
    const before = await this.#examplesBefore(examples.length);
    const step = await this.#judgedStep(examples, before, shares);
    const scored: JudgedExample[] = [];
    for (const [batch, place] of this.#batches(examples, before)) {
      const outcomes = step?.outcomes.slice(scored.length, scored.length + batch.rows.length);
      const judgement = outcomes ? { outcomes } : { shares };
      scored.push(...(await this.learner.accumulate(batch, scale, this.#gradients, place, judgement)));
    }
    const loss = scored.reduce((sum, { outcome }) => sum + outcome.loss * scale, 0);
    return {
      loss: await this.#summed(loss),
      scored,
      gradients: this.#gradients,
      gradientNorm: await this.optimizer.gradientNorm(this.#gradients),
      /** After the step. */
      objectiveState: step?.state ?? this.objectiveState,
    };
  }

  /**
   * Outcomes of a step whose losses depend on all of its examples: everything is scored first and
   * judged at once, so that the gradient, computed batch by batch afterwards, is exact. It costs
   * another forward pass. Undefined for other objectives.
   */
  async #judgedStep(examples: readonly TokenizedExample[], before: number, shares: readonly number[]) {
    if (this.#options.objective.scope !== "step") return undefined;
    const scored: ScoredExample[] = [];
    for (const [batch, place] of this.#batches(examples, before))
      scored.push(...(await this.learner.scoreForStep(batch, place)));
    const settings = { shares, state: this.objectiveState };
    return this.learner.judgeStep(scored, this.optimizer.step, settings, this.#group);
  }

  /**
   * A rank's examples of a step in batches that are computed together, one after the other.
   *
   * @param before how many examples of the step lower ranks have
   */
  *#batches(examples: readonly TokenizedExample[], before: number): Generator<readonly [PackedBatch, Place]> {
    let firstExample = before;
    for (const microbatch of microbatches(examples, this.#options.microbatch)) {
      yield [packBatch(microbatch), { step: this.optimizer.step, firstExample }];
      firstExample += microbatch.length;
    }
  }

  get #group(): Group {
    return this.#options.group ?? alone;
  }

  /** The number of examples of a step that lower ranks have. */
  async #examplesBefore(own: number): Promise<number> {
    const counts = await gather(this.#group, Float64Array.of(own));
    return counts.slice(0, this.#group.rank).reduce((sum, [count]) => sum + count!, 0);
  }

  /** Sums the gradients over the group, and a number, which is returned. */
  async #summed(number: number): Promise<number> {
    if (this.#group.size === 1) return number;
    const { engine } = this.#options;
    const total = Float64Array.of(number);
    const gradients = new Map<FloatValue, FloatArray>();
    for (const gradient of this.#gradients.values()) gradients.set(gradient, await engine.read(gradient));
    await this.#group.sum([total, ...gradients.values()]);
    for (const [gradient, sum] of gradients) engine.write(gradient, sum);
    return total[0]!;
  }

  /**
   * Runs work of the learner that `signal` ends; undefined if it was given up. The trainer can be
   * used on.
   */
  untilAborted<Result>(signal: AbortSignal | undefined, work: () => Promise<Result>): Promise<Result | undefined> {
    return untilAborted(this.#options.engine, signal, work, () => this.learner.forgetTables());
  }
}
