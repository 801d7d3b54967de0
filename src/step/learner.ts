import type { PackedBatch } from "../data/batch.ts";
import { type Engine, rows } from "../engine/engine.ts";
import { AdapterDropout } from "../models/adapter-dropout.ts";
import { withDropout } from "../models/language-model.ts";
import type { Parameters } from "../models/parameters.ts";
import type { Transformer } from "../models/transformer.ts";
import type { Objective } from "../objectives/objective.ts";
import { mergeUses } from "../objectives/statistics.ts";
import { chunks } from "./chunks.ts";
import { vectorNames, withConstants } from "./constants.ts";
import { byResponse, cotangentsOf } from "./entry-vectors.ts";
import { alone, type Group } from "./group.ts";
import {
  type EvaluatorSettings,
  type ExampleOutcome,
  ObjectiveEvaluator,
  type ObjectiveState,
} from "./objective-evaluator.ts";
import type { HiddenStatesCache } from "./reference-states.ts";
import { exampleAt, type ScoredExample, Scorer, type ScorerOptions } from "./scorer.ts";
import { shareStatistics } from "./shared-statistics.ts";
import { defaultHeadSizes, StatisticsHead } from "./statistics-head.ts";

/** An example's statistics with the objective's outcome for it. */
export interface JudgedExample extends ScoredExample {
  readonly outcome: ExampleOutcome;
}

export interface LearnerOptions extends Omit<ScorerOptions, "statistics" | "transformer"> {
  objective: Objective;
  /**
   * Keep only each layer's input for the backward pass and compute the rest again: less memory,
   * more time.
   */
  activationCheckpointing?: boolean;
  /** Of the adapter's dropout and of what the objective draws; 0 if absent. */
  seed?: number;
}

/**
 * The step of a batch, and how many of the step's examples stand before it. Chance depends on both.
 */
export interface Place {
  readonly step: number;
  readonly firstExample: number;
}

/**
 * The way a batch is judged in training: by its own examples, or as part of a step that has been
 * judged whole.
 */
type Judgement = EvaluatorSettings | { readonly outcomes: readonly ExampleOutcome[] };

/** Examples that are evaluated together where they do not depend on each other. */
const judgedAtOnce = 32;
const nowhere: Place = { step: 0, firstExample: 0 };

/**
 * An objective over what a policy and its reference say: outcomes and, for training, gradients. The
 * head runs over chunks of scored entries that hold whole examples, so that what a chunk computed
 * forward serves its backward pass; only a step that is judged as a whole is scored first.
 */
export class Learner {
  /** Scores with what evaluations report. */
  readonly scorer: Scorer;
  readonly #options: LearnerOptions;
  readonly #engine: Engine;
  readonly #seed: number;
  /** The policy's programs for training, which apply dropout if its adapter asks for it. */
  readonly #trained: Transformer;
  readonly #dropout: number;
  readonly #head: StatisticsHead;
  readonly #evaluator: ObjectiveEvaluator;
  readonly #evaluationEvaluator: ObjectiveEvaluator;
  /** Scores as in training, for steps that are judged as a whole. */
  readonly #trainingScorer: Scorer | undefined;

  /** @throws Error when the objective needs a reference and there is none. */
  constructor(options: LearnerOptions) {
    const { engine, policy, reference, objective } = options;
    if (objective.reference === "loss" && !reference) throw new Error(`${objective.name} needs a reference`);
    this.#options = options;
    this.#engine = engine;
    this.#seed = options.seed ?? 0;
    const { trained } = policy.transformer.architecture.plan;
    this.#dropout = typeof trained === "object" ? trained.dropout : 0;
    this.#trained = this.#dropout > 0 ? withDropout(engine, policy) : policy.transformer;
    // Evaluation always reports the sequential KL, so that methods can be compared.
    const reported = mergeUses(objective.statistics, { klReferencePolicy: "constant" });
    this.scorer = new Scorer({ ...options, statistics: reported });
    if (objective.scope === "step")
      this.#trainingScorer = new Scorer({ ...options, statistics: objective.statistics, transformer: this.#trained });
    this.#head = new StatisticsHead(options, objective.statistics);
    this.#evaluator = new ObjectiveEvaluator(objective, this.#head.names);
    this.#evaluationEvaluator = new ObjectiveEvaluator(objective, this.scorer.names);
  }

  /** The cache of the reference's hidden states of examples that come again, if there is one. */
  get referenceCache(): HiddenStatesCache | undefined {
    return this.scorer.referenceCache;
  }

  set referenceCache(cache: HiddenStatesCache | undefined) {
    this.scorer.referenceCache = cache;
    if (this.#trainingScorer) this.#trainingScorer.referenceCache = cache;
  }

  /** Scores and judges a batch without gradients; per example, in the batch's order. */
  async evaluate(batch: PackedBatch): Promise<JudgedExample[]> {
    return this.judge(await this.scorer.score(batch));
  }

  /**
   * The objective's outcomes for examples that `scorer` scored. All count as one step where they
   * depend on each other.
   *
   * @param state of the objective; the initial one by default
   */
  judge(scored: readonly ScoredExample[], state?: ObjectiveState): JudgedExample[] {
    const together = this.#options.objective.scope === "step" ? scored.length : judgedAtOnce;
    const judged: JudgedExample[] = [];
    while (judged.length < scored.length) {
      const part = this.#withConstants(scored.slice(judged.length, judged.length + together), 0);
      const outcomes = this.#evaluationEvaluator.evaluate(
        part.map(({ responses }) => responses),
        { ...(state && { state }) },
      );
      judged.push(...part.map((one, index) => ({ ...one, outcome: outcomes[index]! })));
    }
    return judged;
  }

  /**
   * Scores a batch of a step that is to be judged as a whole, as it will be computed again by
   * `accumulate`.
   */
  scoreForStep(batch: PackedBatch, place: Place): Promise<ScoredExample[]> {
    return this.#trainingScorer!.score(batch, this.#dropoutFor(batch, place));
  }

  /**
   * The outcomes of a rank's examples in a step that is judged as a whole, and the objective's
   * state after it.
   */
  async judgeStep(scored: readonly ScoredExample[], step: number, settings: EvaluatorSettings, group: Group = alone) {
    const own = this.#withConstants(scored, step).map((one) => one.responses);
    const { all, before } = await shareStatistics(group, own, vectorNames(this.#options.objective, this.#head.names));
    const { outcomes, state } = this.#evaluator.evaluateStep(all, settings);
    return { outcomes: outcomes.slice(before, before + own.length), state };
  }

  /**
   * Judges a batch and adds the gradient of `scale · Σ losses` to `gradients`.
   *
   * @param gradients totals by parameter name, one for each trainable parameter of the policy
   * @param judgement how much each of the objective's terms counts, or the outcomes from
   * `judgeStep`
   */
  async accumulate(
    batch: PackedBatch,
    scale: number,
    gradients: Parameters,
    place: Place = nowhere,
    judgement: Judgement = {},
  ): Promise<JudgedExample[]> {
    const { policy, activationCheckpointing, headSizes = defaultHeadSizes } = this.#options;
    const engine = this.#engine;
    const reference = await this.scorer.referenceHidden(batch);
    const dropout = this.#dropoutFor(batch, place);
    const save = activationCheckpointing ? "inputs" : "activations";
    const pass = await this.#trained.forward(policy.parameters, batch, { save, dropout });
    const hiddenGradient = engine.zeros(pass.hidden.shape);
    const judged: JudgedExample[] = [];
    for (const chunk of chunks(batch, headSizes.entries)) {
      const { firstRow, endRow, start, end } = chunk;
      const states = { hidden: pass.hidden, reference };
      const headPass = await this.#head.forward(batch, chunk, states, { save: true });
      const vectors = byResponse(batch, chunk, headPass.statistics);
      const scored = vectors.map((responses, row) => ({ example: exampleAt(batch, firstRow + row), responses }));
      const examples = this.#withConstants(scored, place.step);
      const outcomes =
        "outcomes" in judgement
          ? judgement.outcomes.slice(firstRow, endRow)
          : this.#evaluator.evaluate(
              examples.map(({ responses }) => responses),
              judgement,
            );
      judged.push(...examples.map((one, index) => ({ ...one, outcome: outcomes[index]! })));
      const cotangents = cotangentsOf(this.#head.names, batch, chunk, outcomes, scale);
      await this.#head.backward(headPass, cotangents, rows(hiddenGradient, start, end), gradients);
      this.#head.release(headPass);
    }
    if (reference) engine.release(reference);
    await this.#trained.backward(policy.parameters, batch, pass, hiddenGradient, gradients, dropout);
    engine.release(hiddenGradient);
    engine.release(pass.hidden);
    return judged;
  }

  /** Gives back what the transformers keep of the last batch. */
  forgetTables(): void {
    this.scorer.forgetTables();
    this.#trained.forgetTables();
  }

  #withConstants(scored: readonly ScoredExample[], step: number): ScoredExample[] {
    const { objective } = this.#options;
    return scored.map(({ example, responses }) => ({
      example,
      responses: withConstants(objective, example, responses, { seed: this.#seed, step }),
    }));
  }

  #dropoutFor(batch: PackedBatch, place: Place): AdapterDropout | undefined {
    if (this.#dropout === 0) return undefined;
    return new AdapterDropout(this.#engine, batch, { share: this.#dropout, seed: this.#seed, ...place });
  }
}
