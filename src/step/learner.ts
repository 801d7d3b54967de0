import type { PackedBatch } from "../data/batch.ts";
import { type Engine, type Executable, type FloatValue, integers, rows } from "../engine/engine.ts";
import { backwardProgram, forwardProgram, gradientName } from "../graph/section.ts";
import type { Value } from "../graph/tensor.ts";
import { AdapterDropout } from "../models/adapter-dropout.ts";
import { type LanguageModel, withDropout } from "../models/language-model.ts";
import type { Parameters } from "../models/parameters.ts";
import type { Transformer } from "../models/transformer.ts";
import type { Divergence, Objective } from "../objectives/objective.ts";
import { chunks, type EntryRange, eachEntry } from "./chunks.ts";
import { type StatisticsNeeds, tokenStatistics } from "./heads/vocabulary.ts";
import {
  type ExampleOutcome,
  ObjectiveEvaluator,
  type ResponseVectors,
  type StatisticName,
} from "./objective-evaluator.ts";
import { type HiddenStatesCache, type ReferenceModel, referenceStates } from "./reference-states.ts";

/** What the models say of one example: the objective's outcome and the statistics of each token of its responses. */
export interface ScoredExample {
  readonly outcome: ExampleOutcome;
  readonly responses: readonly ResponseVectors[];
}

/** Programs that turn hidden states into statistics, and the objective over those statistics. */
interface Scoring {
  readonly names: readonly StatisticName[];
  readonly plain: Executable;
  readonly saving: Executable;
  readonly backward: Executable;
  readonly objective: ObjectiveEvaluator;
}

/** Rows of the vocabulary's distributions that exist at once: small enough to stay near the processor, large enough for its products. */
export const defaultChunkRows = 256;

/**
 * Runs policy, reference and objective over packed batches, forward and, for training, backward. The head runs over chunks of scored
 * entries that hold whole examples, so that what a chunk computed forward serves its backward pass; only an example larger than a chunk is
 * computed twice.
 */
export class Learner {
  /** Where the reference's hidden states of examples that come again are kept, if anywhere. */
  referenceCache: HiddenStatesCache | undefined;
  readonly #engine: Engine;
  readonly #policy: LanguageModel;
  /** The policy's programs as they train: those with dropout, where it has any. */
  readonly #trained: Transformer;
  readonly #dropout: { share: number; seed: number };
  readonly #reference: ReferenceModel | undefined;
  readonly #chunkRows: number;
  readonly #save: "activations" | "inputs";
  readonly #weights: boolean;
  readonly #training: Scoring;
  readonly #evaluation: Scoring;

  /**
   * @param options.reference the frozen model that the policy is compared with, over the same vocabulary
   * @throws Error when the objective needs a reference and there is none.
   */
  constructor(options: {
    engine: Engine;
    policy: LanguageModel;
    reference: ReferenceModel | undefined;
    objective: Objective;
    /** Rows of the vocabulary's distributions that exist at once. */
    chunkRows?: number;
    /** Keep only each layer's input for the backward pass and compute the rest again: less memory, more time. */
    activationCheckpointing?: boolean;
    /** Whether the examples come with importance weights; otherwise every token counts as 1. */
    weights?: boolean;
    /** Of the adapter's dropout; 0 if absent. */
    seed?: number;
  }) {
    const { objective, reference } = options;
    if (objective.reference === "loss" && !reference) throw new Error(`${objective.name} needs a reference`);
    this.#engine = options.engine;
    this.#policy = options.policy;
    const { architecture } = options.policy.transformer;
    const { trained } = architecture.weights;
    this.#dropout = { share: typeof trained === "object" ? trained.dropout : 0, seed: options.seed ?? 0 };
    this.#trained = this.#dropout.share > 0 ? withDropout(options.engine, options.policy) : options.policy.transformer;
    this.#reference = reference;
    this.#chunkRows = options.chunkRows ?? defaultChunkRows;
    this.#save = options.activationCheckpointing ? "inputs" : "activations";
    this.#weights = options.weights ?? false;
    const needed = objective.divergence ? [objective.divergence] : [];
    this.#training = this.#compile(objective, needed);
    // Evaluation always reports the sequential KL, so that methods can be compared.
    this.#evaluation = this.#compile(objective, [...new Set<Divergence>([...needed, "klReferencePolicy"])]);
  }

  /** Scores a batch without gradients; per example, in the batch's order. */
  evaluate(batch: PackedBatch): Promise<ScoredExample[]> {
    return this.#run(batch, this.#evaluation);
  }

  /**
   * Scores a batch and adds the gradient of `scale · Σ losses` to `gradients`.
   *
   * @param gradients totals by parameter name, one for each trainable parameter of the policy
   * @param place which step it is, and how many of the step's examples stand before the batch: what chance in it depends on
   */
  accumulate(
    batch: PackedBatch,
    scale: number,
    gradients: Parameters,
    place = { step: 0, firstExample: 0 },
  ): Promise<ScoredExample[]> {
    const { share } = this.#dropout;
    const dropout = share > 0 ? new AdapterDropout(this.#engine, batch, { ...this.#dropout, ...place }) : undefined;
    return this.#run(batch, this.#training, { scale, totals: gradients, dropout });
  }

  /** Gives back what the transformers keep of the last batch. */
  forgetTables(): void {
    const transformers = [this.#policy.transformer, this.#trained, this.#reference?.transformer];
    for (const transformer of new Set(transformers)) transformer?.forgetTables();
  }

  #compile(objective: Objective, divergences: readonly Divergence[]): Scoring {
    const policyWidth = this.#policy.transformer.architecture.width;
    const { vocabularySize } = this.#policy.transformer.architecture;
    const referenceWidth = this.#reference?.transformer.architecture.width ?? policyWidth;
    const frozenHead = !this.#policy.trainable.has(this.#policy.transformer.architecture.head);
    const needs: StatisticsNeeds = { reference: this.#reference !== undefined, divergences, frozenHead };
    const section = tokenStatistics({ vocabularySize, policyWidth, referenceWidth }, needs);
    const names = Object.keys(section.outputs) as StatisticName[];
    return {
      names,
      plain: this.#engine.compile(forwardProgram(section, { save: false })),
      saving: this.#engine.compile(forwardProgram(section, { save: true })),
      backward: this.#engine.compile(backwardProgram(section)),
      objective: new ObjectiveEvaluator(objective, this.#weights ? [...names, "weight"] : names),
    };
  }

  async #run(
    batch: PackedBatch,
    scoring: Scoring,
    training?: { scale: number; totals: Parameters; dropout: AdapterDropout | undefined },
  ): Promise<ScoredExample[]> {
    const engine = this.#engine;
    const reference = this.#reference && {
      hidden: await referenceStates(this.#engine, this.#reference, batch, this.referenceCache),
      head: headOf(this.#reference, this.#reference.parameters)!,
    };
    const transformer = training ? this.#trained : this.#policy.transformer;
    const pass = await transformer.forward(this.#policy.parameters, batch, {
      save: training ? this.#save : "nothing",
      dropout: training?.dropout,
    });
    const hiddenGradient = training && engine.allocate(pass.hidden.shape);
    const results: ScoredExample[] = [];
    for (const range of chunks(batch, this.#chunkRows)) {
      const parts = range.parts.map(([start, end]) => ({
        start,
        end,
        inputs: {
          hidden: rows(pass.hidden, start, end),
          head: headOf(this.#policy, this.#policy.parameters)!,
          labels: integers(batch.entries.slice(start, end).map(({ label }) => label)),
          ...(reference && { referenceHidden: rows(reference.hidden, start, end), referenceHead: reference.head }),
        },
      }));
      const keep = training !== undefined && parts.length === 1;
      const vectors: ResponseVectors[][] = batch.rows
        .slice(range.firstRow, range.endRow)
        .map(({ responseLengths }) => responseLengths.map((length) => emptyVectors(scoring.names, length)));
      const scored = [];
      for (const part of parts) {
        const values = await scoring[keep ? "saving" : "plain"].run(part.inputs);
        eachEntry(batch, part, range.firstRow, vectors, (vector, index, name, offset) => {
          vector[index] = values[name]!.data[offset]!;
        });
        for (const name of scoring.names) engine.release(values[name]!);
        scored.push(values);
      }
      if (this.#weights) addWeights(vectors, batch.rows.slice(range.firstRow, range.endRow));
      const outcomes = scoring.objective.evaluate(vectors);
      results.push(...outcomes.map((outcome, example) => ({ outcome, responses: vectors[example]! })));
      if (!training) continue;
      for (const [index, part] of parts.entries()) {
        const values = keep ? scored[index]! : await scoring.saving.run(part.inputs);
        const saved = Object.entries(values).filter(([name]) => !scoring.names.includes(name as StatisticName));
        if (!keep) for (const name of scoring.names) engine.release(values[name]!);
        await this.#backward(
          batch,
          part,
          range.firstRow,
          outcomes,
          scoring,
          Object.fromEntries(saved),
          training,
          hiddenGradient!,
        );
        for (const [, value] of saved) engine.release(value);
      }
    }
    if (reference) engine.release(reference.hidden);
    if (training) {
      const { totals, dropout } = training;
      await transformer.backward(this.#policy.parameters, batch, pass, hiddenGradient!, totals, dropout);
      engine.release(hiddenGradient!);
    }
    engine.release(pass.hidden);
    return results;
  }

  /** The head's part of the backward pass, for one part of a chunk: gradients of the hidden states and of the head. */
  async #backward(
    batch: PackedBatch,
    part: Part,
    firstRow: number,
    outcomes: readonly ExampleOutcome[],
    scoring: Scoring,
    saved: Record<string, FloatValue>,
    { scale, totals }: { scale: number; totals: Parameters },
    hiddenGradient: FloatValue,
  ): Promise<void> {
    const cotangents = Object.fromEntries(
      scoring.names.map((name) => {
        const value = this.#engine.allocate([part.end - part.start]);
        value.data.fill(0);
        return [name, value];
      }),
    );
    const given = outcomes.map(({ gradients }) => gradients);
    eachEntry(batch, part, firstRow, given, (vector, index, name, offset) => {
      cotangents[name]!.data[offset] = scale * vector[index]!;
    });
    const head = headOf(this.#policy, totals);
    const headTotal = head && { [gradientName("head")]: head };
    const named = Object.fromEntries(Object.entries(cotangents).map(([name, value]) => [gradientName(name), value]));
    await scoring.backward.run(
      { ...part.inputs, ...saved, ...named, ...headTotal },
      { [gradientName("hidden")]: rows(hiddenGradient, part.start, part.end), ...headTotal },
    );
    for (const value of Object.values(cotangents)) this.#engine.release(value);
  }
}

/** A range of entries and the inputs of the statistics program for them. */
interface Part extends EntryRange {
  readonly inputs: Readonly<Record<string, Value>>;
}

function headOf<Item>({ transformer }: LanguageModel, values: ReadonlyMap<string, Item>): Item | undefined {
  return values.get(transformer.architecture.head);
}

function emptyVectors(names: readonly StatisticName[], length: number): ResponseVectors {
  return Object.fromEntries(names.map((name) => [name, new Float64Array(length)]));
}

/** Puts the examples' weights beside the statistics of their responses. */
function addWeights(vectors: ResponseVectors[][], packed: PackedBatch["rows"]): void {
  vectors.forEach((responses, row) => {
    const weights = packed[row]!.example?.weights;
    if (!weights) throw new Error("an example has no weights");
    responses.forEach((statistics, side) => {
      statistics.weight = weights[side]!;
    });
  });
}
