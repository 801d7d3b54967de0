import { exampleLength, packBatch } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";
import type { Engine, FloatValue } from "../engine/engine.ts";
import { type InterruptibleEngine, untilAborted } from "../engine/interruptible.ts";
import { nextTurn } from "../event-loop.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Objective } from "../objectives/objective.ts";
import { Learner, type ScoredExample } from "./learner.ts";
import type { Optimizer } from "./optimizer.ts";
import type { ReferenceModel } from "./reference-states.ts";
import { learningRateAt, type ScheduleOptions } from "./schedule.ts";

export interface TrainerOptions {
  /** Where it is interruptible, a step can be given up between two programs; otherwise only when all of its gradient is there. */
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
  /** See `Learner`. */
  activationCheckpointing?: boolean;
  /** See `Learner`. */
  weights?: boolean;
  /** See `Learner`. */
  chunkRows?: number;
  /** See `Learner`. */
  seed?: number;
}

/** What is computed together: at most so many tokens and examples; an example with more tokens goes alone. */
export interface MicrobatchLimits {
  readonly tokens: number;
  readonly examples?: number | undefined;
}

export interface StepResult {
  /** In the order of the step's examples. */
  examples: ScoredExample[];
  /** The mean that was minimised, before the update. */
  loss: number;
  /** Before clipping. */
  gradientNorm: number;
  learningRate: number;
}

/** The policy in training: its gradients, its optimizer, and one optimizer step over any number of examples. */
export class Trainer {
  readonly optimizer: Optimizer;
  readonly learner: Learner;
  readonly #options: TrainerOptions;
  readonly #gradients: Map<string, FloatValue>;

  constructor(options: TrainerOptions) {
    const { engine, policy } = options;
    this.#options = options;
    this.learner = new Learner(options);
    this.optimizer = options.optimizer;
    this.#gradients = new Map([...policy.trainable].map(([name, { shape }]) => [name, engine.allocate(shape)]));
  }

  /**
   * Gradients, clipping, update. The result does not depend on how the examples fall into microbatches, but for rounding. Where the
   * gradient is not finite, the weights stay as they are.
   *
   * @returns undefined when `signal` is aborted before the update; nothing has changed then.
   */
  async step(examples: readonly TokenizedExample[], signal?: AbortSignal): Promise<StepResult | undefined> {
    const computed = await this.untilAborted(signal, () => this.gradients(examples));
    if (!computed || signal?.aborted) return undefined;
    const { loss, scored, gradientNorm } = computed;
    const { maxGradientNorm, schedule, totalSteps } = this.#options;
    const learningRate = learningRateAt(this.optimizer.step, totalSteps, schedule);
    // PyTorch's clip_grad_norm_, its 1e-6 included.
    const gradientScale = Math.min(1, maxGradientNorm / (gradientNorm + 1e-6));
    if (Number.isFinite(gradientNorm)) await this.optimizer.update(this.#gradients, { learningRate, gradientScale });
    return { examples: scored, loss, gradientNorm, learningRate };
  }

  /** Loss and gradient of a step's examples, without an update. The gradients stay readable until the next call. */
  async gradients(examples: readonly TokenizedExample[]) {
    for (const gradient of this.#gradients.values()) {
      gradient.data.fill(0);
      // All of them at once would keep the process from hearing Ctrl-C.
      await nextTurn();
    }
    const scale = 1 / normalizer(this.#options.objective, examples);
    const scored: ScoredExample[] = [];
    for (const microbatch of microbatches(examples, this.#options.microbatch)) {
      const place = { step: this.optimizer.step, firstExample: scored.length };
      scored.push(...(await this.learner.accumulate(packBatch(microbatch), scale, this.#gradients, place)));
    }
    const loss = scored.reduce((sum, { outcome }) => sum + outcome.loss * scale, 0);
    return {
      loss,
      scored,
      gradients: this.#gradients,
      gradientNorm: await this.optimizer.gradientNorm(this.#gradients),
    };
  }

  /** Runs work of the learner that `signal` ends; undefined if it was given up. The trainer can be used on. */
  untilAborted<Result>(signal: AbortSignal | undefined, work: () => Promise<Result>): Promise<Result | undefined> {
    return untilAborted(this.#options.engine, signal, work, () => this.learner.forgetTables());
  }
}

/** What the sum of losses over `examples` is divided by. */
export function normalizer({ mean }: Objective, examples: readonly TokenizedExample[]): number {
  if (mean === "examples") return examples.length;
  return examples.reduce((sum, { responses }) => sum + responses.reduce((total, { length }) => total + length, 0), 0);
}

/** Consecutive examples in groups within the limits; an example that is too long is a group of its own. */
export function microbatches(examples: readonly TokenizedExample[], limits: MicrobatchLimits): TokenizedExample[][] {
  const groups: TokenizedExample[][] = [];
  let tokens = 0;
  for (const example of examples) {
    const length = exampleLength(example);
    const last = groups.at(-1);
    if (!last || tokens + length > limits.tokens || last.length === limits.examples) {
      groups.push([]);
      tokens = 0;
    }
    groups.at(-1)!.push(example);
    tokens += length;
  }
  return groups;
}
