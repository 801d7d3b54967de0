import type { PackedBatch } from "../data/batch.ts";
import { type Engine, type Executable, type FloatValue, integers, row, rows, upload } from "../engine/engine.ts";
import { interpret } from "../graph/interpreter.ts";
import type { Program } from "../graph/program.ts";
import { backwardProgram, forwardProgram, gradientName, type Section } from "../graph/section.ts";
import type { Value } from "../graph/tensor.ts";
import { headOf, namedHead } from "../models/architecture.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { StatisticName, StatisticUses } from "../objectives/statistics.ts";
import type { EntryRange } from "./chunks.ts";
import type { EntryVectors } from "./entry-vectors.ts";
import { joinedStatistics, tileStatistics } from "./heads/vocabulary.ts";

/** Hidden states of a batch's scored entries, [entries, width]. */
export interface HiddenStates {
  readonly hidden: FloatValue;
  readonly reference: FloatValue | undefined;
}

/** The sizes into which the head's work is cut. */
export interface HeadSizes {
  /** Entries that are computed together, if they are more than one example's. */
  readonly entries: number;
  /**
   * Elements of an array [entries, words] of a tile of the vocabulary: few enough to stay near the
   * processor, and enough for its products.
   */
  readonly tile: number;
  /**
   * Elements of the distributions that are kept for the backward pass of these entries. Those of
   * the tiles beyond are computed again.
   */
  readonly kept: number;
}

export const defaultHeadSizes: HeadSizes = { entries: 256, tile: 2 ** 20, kept: 2 ** 24 };

type Values = Readonly<Record<string, FloatValue>>;
type Inputs = Readonly<Record<string, Value>>;

/** The inputs of programs for one tile of the vocabulary, besides gradients. */
interface Tile {
  readonly start: number;
  readonly end: number;
  readonly inputs: Inputs;
}

/** The statistics of entries, and what their backward pass takes. */
export interface HeadPass {
  readonly statistics: EntryVectors;
  readonly saved: {
    readonly tiles: readonly Tile[];
    /**
     * The parts of the statistics that the tiles give, each [tiles, entries], and the tile of each
     * label.
     */
    readonly parts: Inputs;
    /** The distributions of tiles, from the first on, as far as they are kept. */
    readonly distributions: readonly Values[];
  };
}

/**
 * The compiled head of a policy and its reference: hidden states to per-token statistics, and back.
 * It runs over tiles of the vocabulary, so that memory does not grow with it. What the tiles add is
 * joined in float64, like the objective: the numbers are few.
 */
export class StatisticsHead {
  /** The statistics that it computes. */
  readonly names: readonly StatisticName[];
  readonly #engine: Engine;
  readonly #policy: LanguageModel;
  readonly #reference: LanguageModel | undefined;
  readonly #sizes: HeadSizes;
  readonly #tile: LazyPrograms;
  readonly #joined: { readonly forward: Program; readonly backward: Program };

  constructor(
    models: {
      engine: Engine;
      policy: LanguageModel;
      reference: LanguageModel | undefined;
      headSizes?: HeadSizes | undefined;
    },
    statistics: StatisticUses,
  ) {
    const { engine, policy, reference, headSizes = defaultHeadSizes } = models;
    const { architecture } = policy.transformer;
    const frozenHead = !policy.trainable.has(architecture.head);
    const tile = tileStatistics(architecture, reference?.transformer.architecture, { statistics, frozenHead });
    const joined = joinedStatistics(reference !== undefined, statistics);
    this.names = Object.keys(joined.outputs) as StatisticName[];
    this.#engine = engine;
    this.#policy = policy;
    this.#reference = reference;
    this.#sizes = headSizes;
    this.#tile = new LazyPrograms(engine, tile, ["hidden"]);
    this.#joined = { forward: forwardProgram(joined, { save: false }), backward: backwardProgram(joined) };
  }

  /**
   * The statistics of a range of a batch's entries. The caller releases the pass.
   *
   * @param options.save whether `backward` will be called
   */
  async forward(
    batch: PackedBatch,
    range: EntryRange,
    states: HiddenStates,
    { save }: { save: boolean },
  ): Promise<HeadPass> {
    const { tiles, labelTiles } = this.#tiles(batch, range, states);
    const { outputs, saved } = this.#tile.section;
    const entries = range.end - range.start;
    const parts = Object.fromEntries(
      Object.keys(outputs).map((name) => [name, this.#engine.allocate([tiles.length, entries])]),
    );
    const distributions: Values[] = [];
    let room = save ? this.#sizes.kept : 0;
    for (const [index, { start, end, inputs }] of tiles.entries()) {
      room -= entries * (end - start) * Object.keys(saved).length;
      const program = room >= 0 ? this.#tile.saving : this.#tile.plain;
      const results = await program.run(inputs, rowOf(parts, index));
      if (room >= 0) distributions.push(Object.fromEntries(Object.keys(saved).map((name) => [name, results[name]!])));
    }
    const joined = { ...(await this.#read(parts)), "label tiles": labelTiles };
    const statistics = Object.fromEntries(
      Object.entries(interpret(this.#joined.forward, joined)).map(([name, { data }]) => [name, data as Float64Array]),
    );
    return { statistics, saved: { tiles, parts: joined, distributions } };
  }

  /**
   * Adds the gradient of the hidden states to `hiddenGradient`, and that of the head to `totals` if
   * it trains.
   *
   * @param cotangents the gradient of the loss for each statistic
   */
  async backward(
    { saved: { tiles, parts, distributions } }: HeadPass,
    cotangents: EntryVectors,
    hiddenGradient: FloatValue,
    totals: ReadonlyMap<string, FloatValue>,
  ): Promise<void> {
    const given = Object.entries(cotangents).map(([name, data]) => [
      gradientName(name),
      { shape: [data.length], data },
    ]);
    const joined = interpret(this.#joined.backward, { ...parts, ...Object.fromEntries(given) });
    const ofParts = Object.fromEntries(
      Object.entries(joined).map(([name, { shape, data }]) => [name, upload(this.#engine, shape, data)]),
    );
    const head = headOf(this.#policy.transformer.architecture, totals);
    for (const [index, { start, end, inputs }] of tiles.entries()) {
      const ofTile = head && rowsOf(namedHead("head", head), start, end);
      const sums = ofGradients({ hidden: hiddenGradient, ...ofTile });
      const kept = distributions[index];
      const program = kept ? this.#tile.backward : this.#tile.repeating;
      await program.run({ ...inputs, ...kept, ...rowOf(ofParts, index), ...sums }, sums);
    }
    for (const value of Object.values(ofParts)) this.#engine.release(value);
  }

  release({ saved: { distributions } }: HeadPass): void {
    for (const values of distributions) for (const value of Object.values(values)) this.#engine.release(value);
  }

  /** Takes values out of the engine's memory. */
  async #read(values: Values): Promise<Inputs> {
    const read: Record<string, Value> = {};
    for (const [name, value] of Object.entries(values)) {
      read[name] = { shape: value.shape, data: Float64Array.from(await this.#engine.read(value)) };
      this.#engine.release(value);
    }
    return read;
  }

  /** The vocabulary in tiles of nearly equal size, and the tile of each label. */
  #tiles(batch: PackedBatch, { start: first, end: last }: EntryRange, { hidden, reference }: HiddenStates) {
    const entries = batch.entries.slice(first, last);
    const { vocabularySize } = this.#policy.transformer.architecture;
    const count = Math.min(Math.ceil((entries.length * vocabularySize) / this.#sizes.tile), vocabularySize);
    const words = Math.ceil(vocabularySize / count);
    const states = {
      hidden: rows(hidden, first, last),
      ...(reference && { referenceHidden: rows(reference, first, last) }),
    };
    const heads = {
      ...headValues("head", this.#policy),
      ...(this.#reference && headValues("referenceHead", this.#reference)),
    };
    const tiles: Tile[] = [];
    for (let start = 0; start < vocabularySize; start += words) {
      const end = Math.min(start + words, vocabularySize);
      const labels = integers(entries.map(({ label }) => (label >= start && label < end ? label - start : 0)));
      tiles.push({ start, end, inputs: { ...states, labels, ...rowsOf(heads, start, end) } });
    }
    return { tiles, labelTiles: integers(entries.map(({ label }) => Math.floor(label / words))) };
  }
}

/** The programs of a section, each compiled when it is first needed: scoring alone takes one. */
class LazyPrograms {
  readonly section: Section;
  readonly #engine: Engine;
  readonly #accumulate: readonly string[];
  readonly #compiled = new Map<string, Executable>();

  /** @param accumulate see `backwardProgram` */
  constructor(engine: Engine, section: Section, accumulate: readonly string[] = []) {
    this.section = section;
    this.#engine = engine;
    this.#accumulate = accumulate;
  }

  get plain(): Executable {
    return this.#once("plain", () => forwardProgram(this.section, { save: false }));
  }

  get saving(): Executable {
    return this.#once("saving", () => forwardProgram(this.section, { save: true }));
  }

  /** From what the forward program saved. */
  get backward(): Executable {
    return this.#once("backward", () => backwardProgram(this.section, { accumulate: this.#accumulate }));
  }

  /** The backward program that computes again what another one takes as saved. */
  get repeating(): Executable {
    const section = { ...this.section, saved: {} };
    return this.#once("repeating", () => backwardProgram(section, { accumulate: this.#accumulate }));
  }

  #once(name: string, program: () => Program): Executable {
    const compiled = this.#compiled.get(name) ?? this.#engine.compile(program());
    this.#compiled.set(name, compiled);
    return compiled;
  }
}

/** The values of a model's head, by the names that programs have for them. */
function headValues(name: string, { transformer, parameters }: LanguageModel): Inputs {
  return namedHead(name, headOf(transformer.architecture, parameters)!);
}

/** Rows `start` to `end` of all values. */
function rowsOf<Item extends Value>(values: Readonly<Record<string, Item>>, start: number, end: number) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, rows(value, start, end)]));
}

/** One row of all values. */
function rowOf(values: Values, index: number): Values {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, row(value, index)]));
}

/** The same values as gradients of what they are named after. */
function ofGradients(values: Values): Values {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [gradientName(name), value]));
}
