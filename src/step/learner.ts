import type { PackedBatch } from "../data/batch.ts";
import { type Engine, type FloatValue, rows } from "../engine/engine.ts";
import { AdapterDropout } from "../models/adapter-dropout.ts";
import { withDropout } from "../models/language-model.ts";
import type { Parameters } from "../models/parameters.ts";
import type { Transformer } from "../models/transformer.ts";
import type { Objective } from "../objectives/objective.ts";
import { mergeUses } from "../objectives/statistics.ts";
import { chunks, type EntryRange } from "./chunks.ts";
import { vectorNames, withConstants } from "./constants.ts";
import { cotangentsOf, emptyVectors, readStatistics } from "./entry-vectors.ts";
import { alone, type Group } from "./group.ts";
import {
  type EvaluatorSettings,
  type ExampleOutcome,
  ObjectiveEvaluator,
  type ObjectiveState,
  type ResponseVectors,
} from "./objective-evaluator.ts";
import type { HiddenStatesCache } from "./reference-states.ts";
import { defaultChunkRows, exampleAt, type ScoredExample, Scorer, type ScorerOptions } from "./scorer.ts";
import { shareStatistics } from "./shared-statistics.ts";
import { type HeadInputs, StatisticsHead } from "./statistics-head.ts";

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
 * Which step a batch belongs to, and how many of the step's examples stand before it: what chance
 * depends on.
 */
export interface Place {
  readonly step: number;
  readonly firstExample: number;
}

/**
 * How a batch is judged in training: by its own examples, or as part of a step that has been judged
 * whole.
 */
type Judgement = EvaluatorSettings | { readonly outcomes: readonly ExampleOutcome[] };

/** Examples that are evaluated together where they do not depend on each other. */
const judgedAtOnce = 32;
const nowhere: Place = { step: 0, firstExample: 0 };

/**
 * An objective over what a policy and its reference say: outcomes and, for training, gradients. The
 * head runs over chunks of scored entries that hold whole examples, so that what a chunk computed
 * forward serves its backward pass; only an example larger than a chunk, and a step that is judged
 * as a whole, are computed twice.
 */
export class Learner {
  /** Scores with what evaluations report. */
  readonly scorer: Scorer;
  readonly #options: LearnerOptions;
  readonly #engine: Engine;
  readonly #seed: number;
  /** The policy's programs as they train: those with dropout, where it has any. */
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

  /** Where the reference's hidden states of examples that come again are kept, if anywhere. */
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
    const { policy, activationCheckpointing, chunkRows = defaultChunkRows } = this.#options;
    const engine = this.#engine;
    const reference = await this.scorer.referenceHidden(batch);
    const dropout = this.#dropoutFor(batch, place);
    const save = activationCheckpointing ? "inputs" : "activations";
    const pass = await this.#trained.forward(policy.parameters, batch, { save, dropout });
    const hiddenGradient = engine.allocate(pass.hidden.shape);
    const judged: JudgedExample[] = [];
    for (const { firstRow, endRow, parts } of chunks(batch, chunkRows)) {
      const ranges = parts.map(([start, end]): Part => {
        const range = { start, end };
        return { ...range, inputs: this.#head.inputs(batch, range, { hidden: pass.hidden, reference }) };
      });
      const vectors = emptyVectors(batch, firstRow, endRow, this.#head.names);
      const saved = await this.#forward(batch, ranges, firstRow, vectors);
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
      for (const range of ranges) {
        const kept = saved ?? (await this.#savedAgain(range.inputs));
        const cotangents = cotangentsOf(engine, this.#head.names, batch, range, firstRow, outcomes, scale);
        const ofHidden = rows(hiddenGradient, range.start, range.end);
        await this.#head.backward(range.inputs, kept, cotangents, ofHidden, gradients);
        for (const value of [...Object.values(cotangents), ...Object.values(kept)]) engine.release(value);
      }
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

  /**
   * Fills the vectors of a chunk's examples; returns what its backward pass needs where the chunk
   * is in one part.
   */
  async #forward(
    batch: PackedBatch,
    parts: readonly Part[],
    firstRow: number,
    vectors: readonly (readonly ResponseVectors[])[],
  ): Promise<Readonly<Record<string, FloatValue>> | undefined> {
    if (parts.length === 1) {
      const { statistics, saved } = await this.#head.forwardSaving(parts[0]!.inputs);
      await readStatistics(this.#engine, batch, parts[0]!, firstRow, vectors, statistics);
      this.#head.releaseStatistics(statistics);
      return saved;
    }
    for (const part of parts) {
      const statistics = await this.#head.forward(part.inputs);
      await readStatistics(this.#engine, batch, part, firstRow, vectors, statistics);
      this.#head.releaseStatistics(statistics);
    }
    return undefined;
  }

  async #savedAgain(inputs: HeadInputs): Promise<Readonly<Record<string, FloatValue>>> {
    const { statistics, saved } = await this.#head.forwardSaving(inputs);
    this.#head.releaseStatistics(statistics);
    return saved;
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

/** A range of entries and the inputs of the head's programs for them. */
interface Part extends EntryRange {
  readonly inputs: HeadInputs;
}
