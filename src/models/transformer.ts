import { attentionMask, type PackedBatch } from "../data/batch.ts";
import { type Engine, type Executable, type FloatValue, rows } from "../engine/engine.ts";
import { addRows, gatherRows, zeros } from "../engine/rows.ts";
import { backwardProgram, forwardProgram, gradientName } from "../graph/section.ts";
import type { Architecture } from "./architecture.ts";
import { rotaryTables } from "./rotary.ts";

/** Values by the checkpoint's names: weights, or their gradients. */
export type Parameters = ReadonlyMap<string, FloatValue>;

type Values = Record<string, FloatValue>;
type SectionName = keyof Architecture["sections"];

/** What a forward pass keeps for its backward pass: for each layer the flat arrays that its sections saved. */
interface SavedPass {
  readonly layers: Values[];
  /** Input of the last norm, at the scored entries. */
  readonly last: FloatValue;
}

/** The result of a forward pass: hidden states after the last norm, [entries, width], and what `backward` needs. */
export interface ForwardPass {
  readonly hidden: FloatValue;
  readonly saved: SavedPass | undefined;
}

/** The tables that depend on the batch alone and serve every layer, pass and model of the architecture. */
interface Tables {
  readonly cos: FloatValue;
  readonly sin: FloatValue;
  readonly masks: readonly FloatValue[];
  readonly sources: Int32Array;
}

/**
 * Runs a transformer forward and backward over packed batches. The programs are compiled once and run for every layer, for the policy as
 * for the reference; only the weights differ.
 */
export class Transformer {
  readonly architecture: Architecture;
  readonly #engine: Engine;
  /** The forward programs of each section, with and without what a backward pass needs. */
  readonly #forward: Readonly<Record<SectionName, { saving: Executable; plain: Executable }>>;
  readonly #backward: Record<SectionName, Executable>;
  #tables: { batch: PackedBatch; tables: Tables } | undefined;

  constructor(engine: Engine, architecture: Architecture) {
    this.architecture = architecture;
    this.#engine = engine;
    const { sections } = architecture;
    const forward = (name: SectionName) => {
      const plain = engine.compile(forwardProgram(sections[name], { save: false }));
      const savesNothing = Object.keys(sections[name].saved).length === 0;
      return { plain, saving: savesNothing ? plain : engine.compile(forwardProgram(sections[name], { save: true })) };
    };
    this.#forward = {
      attentionInput: forward("attentionInput"),
      attention: forward("attention"),
      attentionOutput: forward("attentionOutput"),
      finalNorm: forward("finalNorm"),
    };
    this.#backward = {
      // The residual stream's gradient arrives from the block's second half and grows by what flows through the first.
      attentionInput: engine.compile(backwardProgram(sections.attentionInput, { accumulate: ["x"] })),
      attention: engine.compile(backwardProgram(sections.attention)),
      attentionOutput: engine.compile(backwardProgram(sections.attentionOutput)),
      finalNorm: engine.compile(backwardProgram(sections.finalNorm)),
    };
  }

  /**
   * Hidden states at the scored entries of the batch, [entries, width], after the last norm.
   *
   * @param options.save what to keep for `backward`: nothing, all that it needs, or only each layer's input, from which `backward` computes
   * the rest again (activation checkpointing)
   * @param options.onKeysAndValues is lent each layer's key and value, [tokens, keyValueHeads * headWidth]
   */
  async forward(
    parameters: Parameters,
    batch: PackedBatch,
    {
      save,
      onKeysAndValues,
    }: {
      save: "nothing" | "activations" | "inputs";
      onKeysAndValues?: (layer: number, values: { key: FloatValue; value: FloatValue }) => void;
    },
  ): Promise<ForwardPass> {
    const layers: Values[] = [];
    let x = gatherRows(this.#engine, parameters.get(this.architecture.embedding)!, batch.tokens);
    for (let layer = 0; layer < this.architecture.layers; layer++) {
      const { output, saved } = await this.#runLayer(parameters, batch, layer, x, save === "activations", (values) =>
        onKeysAndValues?.(layer, values),
      );
      if (save === "nothing") this.#engine.release(x);
      else layers.push({ x, ...saved });
      x = output;
    }
    const program = this.#forward.finalNorm.plain;
    const { hidden } = await program.run({ x, ...sectionParameters(this.architecture, "finalNorm", parameters, 0) });
    if (save === "nothing") this.#engine.release(x);
    return { hidden: hidden!, saved: save === "nothing" ? undefined : { layers, last: x } };
  }

  /** One block: its output, and with `save` what its backward pass needs besides x. */
  async #runLayer(
    parameters: Parameters,
    batch: PackedBatch,
    layer: number,
    x: FloatValue,
    save: boolean,
    onKeysAndValues?: (values: { key: FloatValue; value: FloatValue }) => void,
  ): Promise<{ output: FloatValue; saved: Values }> {
    const engine = this.#engine;
    const { sources, masks, ...rotary } = this.#tablesOf(batch);
    const inputs = { x, ...rotary, ...sectionParameters(this.architecture, "attentionInput", parameters, layer) };
    const projections = await this.#forward.attentionInput.plain.run(inputs);
    onKeysAndValues?.({ key: projections.key!, value: projections.value! });
    const context = await this.#attend(batch, masks, projections);
    // Behind the last attention only the scored positions matter.
    const scored = layer === this.architecture.layers - 1;
    const [residual, attended] = scored
      ? [gatherRows(engine, x, sources), gatherRows(engine, context, sources)]
      : [x, context];
    const program = this.#forward.attentionOutput[save ? "saving" : "plain"];
    const weights = sectionParameters(this.architecture, "attentionOutput", parameters, layer);
    const { output, ...saved } = await program.run({ x: residual, context: attended, ...weights });
    if (scored) for (const used of [residual, context]) engine.release(used);
    if (save) return { output: output!, saved: { ...projections, context: attended, ...saved } };
    for (const used of [...Object.values(projections), attended]) engine.release(used);
    return { output: output!, saved: {} };
  }

  /**
   * Adds the gradient of a loss to `gradients`, given its gradient for the hidden states, and releases what the pass saved.
   *
   * @param gradients totals by parameter name; those of the head are not touched here.
   */
  async backward(
    parameters: Parameters,
    batch: PackedBatch,
    pass: ForwardPass,
    hiddenGradient: FloatValue,
    gradients: Parameters,
  ): Promise<void> {
    const engine = this.#engine;
    const { sources, masks, ...rotary } = this.#tablesOf(batch);
    const { layers, last } = pass.saved!;
    const lastNorm = await this.#runBackward("finalNorm", parameters, gradients, 0, {
      x: last,
      [gradientName("hidden")]: hiddenGradient,
    });
    engine.release(last);
    let dx = lastNorm[gradientName("x")]!;
    for (let layer = this.architecture.layers - 1; layer >= 0; layer--) {
      const { x, query, key, value, ...output } = await this.#savedOf(parameters, batch, layer, layers[layer]!);
      const second = await this.#runBackward("attentionOutput", parameters, gradients, layer, {
        ...output,
        [gradientName("output")]: dx,
      });
      let [residual, context] = [second[gradientName("x")]!, second[gradientName("context")]!];
      for (const used of [dx, ...Object.values(output)]) engine.release(used);
      if (layer === this.architecture.layers - 1) {
        [residual, context] = [residual, context].map((scored) => {
          const all = zeros(engine, [batch.tokens.length, ...scored.shape.slice(1)]);
          addRows(all, scored, sources);
          engine.release(scored);
          return all;
        }) as [FloatValue, FloatValue];
      }
      const attention = await this.#attendBackward(batch, masks, {
        query,
        key,
        value,
        [gradientName("context")]: context,
      });
      for (const used of [query, key, value, context]) engine.release(used);
      const first = { x, ...rotary, ...attention, [gradientName("x")]: residual };
      await this.#runBackward("attentionInput", parameters, gradients, layer, first, { [gradientName("x")]: residual });
      for (const used of [x, ...Object.values(attention)]) engine.release(used);
      dx = residual;
    }
    addRows(gradients.get(this.architecture.embedding)!, dx, batch.tokens);
    engine.release(dx);
  }

  /** Releases a forward pass whose backward pass is not wanted. */
  release({ hidden, saved }: ForwardPass): void {
    const layers = saved?.layers.flatMap((layer) => Object.values(layer)) ?? [];
    for (const value of [hidden, ...layers, ...(saved ? [saved.last] : [])]) this.#engine.release(value);
  }

  /** What a layer saved, computed again where only its input was. */
  async #savedOf(parameters: Parameters, batch: PackedBatch, layer: number, saved: Values) {
    let all = saved;
    if (!saved.query) {
      const again = await this.#runLayer(parameters, batch, layer, saved.x!, true);
      this.#engine.release(again.output);
      all = { ...saved, ...again.saved };
    }
    return all as Values & Record<"x" | "query" | "key" | "value", FloatValue>;
  }

  /** Attention row by row, on views of the flat arrays: no padding, no copies. */
  async #attend(batch: PackedBatch, masks: readonly FloatValue[], flat: Values): Promise<FloatValue> {
    const context = this.#engine.allocate(flat.query!.shape);
    for (const [index, row] of batch.rows.entries()) {
      const view = (value: FloatValue) => rows(value, row.start, row.start + row.length);
      const inputs = Object.fromEntries(Object.entries(flat).map(([name, value]) => [name, view(value)]));
      await this.#forward.attention.plain.run({ ...inputs, mask: masks[index]! }, { context: view(context) });
    }
    return context;
  }

  async #attendBackward(batch: PackedBatch, masks: readonly FloatValue[], flat: Values): Promise<Values> {
    const names = ["query", "key", "value"] as const;
    const gradients = Object.fromEntries(
      names.map((name) => [gradientName(name), this.#engine.allocate(flat[name]!.shape)]),
    );
    for (const [index, row] of batch.rows.entries()) {
      const views = (values: Values) =>
        Object.fromEntries(
          Object.entries(values).map(([name, value]) => [name, rows(value, row.start, row.start + row.length)]),
        );
      await this.#backward.attention.run({ ...views(flat), mask: masks[index]! }, views(gradients));
    }
    return gradients;
  }

  /** Runs a section's backward program, its parameters' gradients accumulating in place. */
  async #runBackward(
    section: "attentionInput" | "attentionOutput" | "finalNorm",
    parameters: Parameters,
    gradients: Parameters,
    layer: number,
    inputs: Values,
    outputs: Values = {},
  ): Promise<Values> {
    const totals = Object.fromEntries(
      Object.entries(sectionParameters(this.architecture, section, gradients, layer)).map(([name, value]) => [
        gradientName(name),
        value,
      ]),
    );
    return this.#backward[section].run(
      { ...inputs, ...sectionParameters(this.architecture, section, parameters, layer), ...totals },
      { ...totals, ...outputs },
    );
  }

  /** Gives back the tables of the last batch. */
  forgetTables(): void {
    const old = this.#tables?.tables;
    if (old) for (const value of [old.cos, old.sin, ...new Set(old.masks)]) this.#engine.release(value);
    this.#tables = undefined;
  }

  /** The batch's tables, kept until another batch comes. */
  #tablesOf(batch: PackedBatch): Tables {
    if (this.#tables?.batch === batch) return this.#tables.tables;
    this.forgetTables();
    const tables = makeTables(this.#engine, this.architecture, batch);
    this.#tables = { batch, tables };
    return tables;
  }
}

function makeTables(engine: Engine, architecture: Architecture, batch: PackedBatch): Tables {
  const shared = new Map<string, FloatValue>();
  const masks = batch.rows.map((row) => {
    const key = [row.promptLength, ...row.responseLengths].join(" ");
    const mask = shared.get(key) ?? engine.allocate([row.length, row.length]);
    if (!shared.has(key)) mask.data.set(attentionMask(row));
    shared.set(key, mask);
    return mask;
  });
  const sources = Int32Array.from(batch.entries, (entry) => entry.source);
  return { ...rotaryTables(engine, architecture, batch.positions), masks, sources };
}

/** The parameters of a section in one layer, by the section's names. */
export function sectionParameters(
  architecture: Architecture,
  section: "attentionInput" | "attentionOutput" | "finalNorm",
  parameters: Parameters,
  layer: number,
): Values {
  const names = Object.keys(architecture.sections[section].parameters);
  return Object.fromEntries(
    names.map((name) => [name, parameters.get(architecture.parameterName(section, name, layer))!]),
  );
}
