import type { PackedBatch } from "../data/batch.ts";
import { type Engine, type Executable, type FloatValue, integers, rows } from "../engine/engine.ts";
import { backwardProgram, forwardProgram, gradientName, type Section } from "../graph/section.ts";
import type { Value } from "../graph/tensor.ts";
import { headOf, namedHead } from "../models/architecture.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { StatisticName, StatisticUses } from "../objectives/statistics.ts";
import type { EntryRange } from "./chunks.ts";
import { tokenStatistics } from "./heads/vocabulary.ts";

/** Hidden states of a batch's scored entries, [entries, width]. */
export interface HiddenStates {
  readonly hidden: FloatValue;
  readonly reference: FloatValue | undefined;
}

export type HeadInputs = Readonly<Record<string, Value>>;
type Values = Readonly<Record<string, FloatValue>>;

/**
 * The compiled head of a policy and its reference: hidden states to per-token statistics, and back.
 */
export class StatisticsHead {
  /** The statistics that it computes. */
  readonly names: readonly StatisticName[];
  readonly #engine: Engine;
  readonly #policy: LanguageModel;
  readonly #reference: LanguageModel | undefined;
  readonly #section: Section;
  readonly #forward: Executable;
  #training: { readonly saving: Executable; readonly backward: Executable } | undefined;

  constructor(
    models: { engine: Engine; policy: LanguageModel; reference: LanguageModel | undefined },
    statistics: StatisticUses,
  ) {
    const { engine, policy, reference } = models;
    const { architecture } = policy.transformer;
    const frozenHead = !policy.trainable.has(architecture.head);
    this.#section = tokenStatistics(architecture, reference?.transformer.architecture, { statistics, frozenHead });
    this.names = Object.keys(this.#section.outputs) as StatisticName[];
    this.#engine = engine;
    this.#policy = policy;
    this.#reference = reference;
    this.#forward = engine.compile(forwardProgram(this.#section, { save: false }));
  }

  /** What the programs take for a range of a batch's entries. */
  inputs({ entries }: PackedBatch, { start, end }: EntryRange, { hidden, reference }: HiddenStates): HeadInputs {
    return {
      hidden: rows(hidden, start, end),
      ...headValues("head", this.#policy),
      labels: integers(entries.slice(start, end).map(({ label }) => label)),
      ...(reference && {
        referenceHidden: rows(reference, start, end),
        ...headValues("referenceHead", this.#reference!),
      }),
    };
  }

  /** The statistics, each [rows]. The caller releases them. */
  forward(inputs: HeadInputs): Promise<Values> {
    return this.#forward.run(inputs);
  }

  /** The statistics, and what the backward pass needs of this one. */
  async forwardSaving(inputs: HeadInputs): Promise<{ statistics: Values; saved: Values }> {
    const values = Object.entries(await this.#trainingPrograms.saving.run(inputs));
    const isStatistic = (name: string) => this.names.includes(name as StatisticName);
    return {
      statistics: Object.fromEntries(values.filter(([name]) => isStatistic(name))),
      saved: Object.fromEntries(values.filter(([name]) => !isStatistic(name))),
    };
  }

  /**
   * Computes the gradient of the hidden states into `hiddenGradient`, and adds that of the head to
   * `totals` if it trains.
   *
   * @param cotangents the gradient of the loss for each statistic, [rows]
   */
  async backward(
    inputs: HeadInputs,
    saved: Values,
    cotangents: Values,
    hiddenGradient: FloatValue,
    totals: ReadonlyMap<string, FloatValue>,
  ): Promise<void> {
    const head = headOf(this.#policy.transformer.architecture, totals);
    const headTotals = head && ofGradients(namedHead("head", head));
    await this.#trainingPrograms.backward.run(
      { ...inputs, ...saved, ...ofGradients(cotangents), ...headTotals },
      { [gradientName("hidden")]: hiddenGradient, ...headTotals },
    );
  }

  releaseStatistics(values: Values): void {
    for (const name of this.names) this.#engine.release(values[name]!);
  }

  /** Compiled when the first step needs them: scoring alone does without. */
  get #trainingPrograms() {
    this.#training ??= {
      saving: this.#engine.compile(forwardProgram(this.#section, { save: true })),
      backward: this.#engine.compile(backwardProgram(this.#section)),
    };
    return this.#training;
  }
}

/** What the head of a model is, as programs call it. */
function headValues(name: string, { transformer, parameters }: LanguageModel): HeadInputs {
  return namedHead(name, headOf(transformer.architecture, parameters)!);
}

/** The same values as gradients of what they are named after. */
function ofGradients(values: Values): Values {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [gradientName(name), value]));
}
