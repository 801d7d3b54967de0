import { exampleLength } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";
import type { Objective } from "../objectives/objective.ts";
import type { Recipe } from "../recipe/schema.ts";
import type { JudgedExample } from "../step/learner.ts";
import { type Metrics, summarize } from "../step/metrics.ts";
import type { StepResult } from "../step/trainer.ts";

/** Gathers steps for a record. */
export class TrainingLog {
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
      examples_per_second: rounded(this.#examples.length / this.#seconds),
      tokens_per_second: rounded(this.#tokens / this.#seconds),
      peak_memory_mib: Math.round(process.resourceUsage().maxRSS / 1024),
    };
    this.#examples = [];
    this.#norms = [];
    this.#tokens = 0;
    this.#seconds = 0;
    return metrics;
  }
}

/** A figure as it is logged. */
export function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
