import type { PackedBatch } from "../data/batch.ts";
import type { Engine, Executable, FloatValue } from "../engine/engine.ts";
import { addRows, gatherRows, zeros } from "../engine/rows.ts";
import { backwardProgram, forwardProgram, gradientName } from "../graph/section.ts";
import type { AdapterDropout } from "./adapter-dropout.ts";
import { type Architecture, sectionParameters, type WeightedSection } from "./architecture.ts";
import { BatchTables } from "./batch-tables.ts";
import type { Parameters, Weights } from "./parameters.ts";
import { attend, attendBackward } from "./row-attention.ts";

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

/**
 * Runs a transformer forward and backward over packed batches. The programs are compiled once and run for every layer, for the policy as
 * for the reference; only the weights differ.
 */
export class Transformer {
  readonly architecture: Architecture;
  readonly #engine: Engine;
  /** The forward programs of each section, with and without what a backward pass needs. */
  readonly #forward: Readonly<Record<SectionName, { saving: Executable; plain: Executable }>>;
  /** None for a model that does not train. */
  readonly #backward: Record<SectionName, Executable> | undefined;
  /** The first block's first section where nothing in front of it trains; none where nothing in it does either. */
  readonly #firstBackward: Executable | undefined;
  readonly #tables: BatchTables;

  constructor(engine: Engine, architecture: Architecture) {
    this.architecture = architecture;
    this.#engine = engine;
    this.#tables = new BatchTables(engine, architecture);
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
    if (architecture.weights.trained === "none") return;
    // What flows out of the first block is of use to an embedding that trains only.
    const last = this.#trainsEmbedding ? undefined : backwardProgram(sections.attentionInput, { without: ["x"] });
    this.#firstBackward = last && last.outputs.size > 0 ? engine.compile(last) : undefined;
    this.#backward = {
      // The residual stream's gradient arrives from the block's second half and grows by what flows through the first.
      attentionInput: engine.compile(backwardProgram(sections.attentionInput, { accumulate: ["x"] })),
      attention: engine.compile(backwardProgram(sections.attention)),
      attentionOutput: engine.compile(backwardProgram(sections.attentionOutput)),
      finalNorm: engine.compile(backwardProgram(sections.finalNorm)),
    };
  }

  /** Whether the embedding has a gradient. */
  get #trainsEmbedding(): boolean {
    return this.architecture.weights.trained === "all";
  }

  /**
   * Hidden states at the scored entries of the batch, [entries, width], after the last norm.
   *
   * @param options.save what to keep for `backward`: nothing, all that it needs, or only each layer's input, from which `backward` computes
   * the rest again (activation checkpointing)
   * @param options.dropout masks the adapters' inputs, if they are compiled with it
   * @param options.onKeysAndValues is lent each layer's key and value, [tokens, keyValueHeads * headWidth]
   */
  async forward(
    parameters: Weights,
    batch: PackedBatch,
    {
      save,
      dropout,
      onKeysAndValues,
    }: {
      save: "nothing" | "activations" | "inputs";
      dropout?: AdapterDropout | undefined;
      onKeysAndValues?: (layer: number, values: { key: FloatValue; value: FloatValue }) => void;
    },
  ): Promise<ForwardPass> {
    const layers: Values[] = [];
    let x = gatherRows(this.#engine, parameters.get(this.architecture.embedding)!, batch.tokens);
    for (let layer = 0; layer < this.architecture.layers; layer++) {
      const { output, saved } = await this.#runLayer(parameters, batch, layer, x, {
        save: save === "activations",
        dropout,
        onKeysAndValues: (values) => onKeysAndValues?.(layer, values),
      });
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
    parameters: Weights,
    batch: PackedBatch,
    layer: number,
    x: FloatValue,
    {
      save,
      dropout,
      onKeysAndValues,
    }: {
      save: boolean;
      dropout: AdapterDropout | undefined;
      onKeysAndValues?: (values: { key: FloatValue; value: FloatValue }) => void;
    },
  ): Promise<{ output: FloatValue; saved: Values }> {
    const engine = this.#engine;
    const { sources, masks, ...rotary } = this.#tables.of(batch);
    const projections = (await this.#withMasks("attentionInput", batch, layer, dropout, (masks) =>
      this.#forward.attentionInput.plain.run({
        ...{ x, ...rotary, ...masks },
        ...sectionParameters(this.architecture, "attentionInput", parameters, layer),
      }),
    )) as Record<"query" | "key" | "value", FloatValue>;
    onKeysAndValues?.(projections);
    const context = await attend(engine, this.#forward.attention.plain, { batch, masks }, projections);
    // Behind the last attention only the scored positions matter.
    const scored = layer === this.architecture.layers - 1;
    const [residual, attended] = scored
      ? [gatherRows(engine, x, sources), gatherRows(engine, context, sources)]
      : [x, context];
    const program = this.#forward.attentionOutput[save ? "saving" : "plain"];
    const weights = sectionParameters(this.architecture, "attentionOutput", parameters, layer);
    const { output, ...saved } = await this.#withMasks("attentionOutput", batch, layer, dropout, (masks) =>
      program.run({ x: residual, context: attended, ...masks, ...weights }),
    );
    if (scored) for (const used of [residual, context]) engine.release(used);
    if (save) return { output: output!, saved: { ...projections, context: attended, ...saved } };
    for (const used of [...Object.values(projections), attended]) engine.release(used);
    return { output: output!, saved: {} };
  }

  /**
   * Adds the gradient of a loss to `gradients`, given its gradient for the hidden states, and releases what the pass saved.
   *
   * @param gradients totals by parameter name, one for each that trains; those of the head are not touched here.
   * @param dropout that of the forward pass
   */
  async backward(
    parameters: Weights,
    batch: PackedBatch,
    pass: ForwardPass,
    hiddenGradient: FloatValue,
    gradients: Parameters,
    dropout?: AdapterDropout,
  ): Promise<void> {
    const engine = this.#engine;
    const { sources, masks, ...rotary } = this.#tables.of(batch);
    const { layers, last } = pass.saved!;
    const lastNorm = await this.#runBackward("finalNorm", parameters, gradients, 0, {
      x: last,
      [gradientName("hidden")]: hiddenGradient,
    });
    engine.release(last);
    let dx = lastNorm[gradientName("x")]!;
    for (let layer = this.architecture.layers - 1; layer >= 0; layer--) {
      const saved = await this.#savedOf(parameters, batch, layer, layers[layer]!, dropout);
      const { x, query, key, value, ...output } = saved;
      const second = await this.#withMasks("attentionOutput", batch, layer, dropout, (masks) =>
        this.#runBackward("attentionOutput", parameters, gradients, layer, {
          ...output,
          ...masks,
          [gradientName("output")]: dx,
        }),
      );
      let [residual, context] = [second[gradientName("x")]!, second[gradientName("context")]!];
      for (const used of [dx, ...Object.values(output)]) engine.release(used);
      const isFront = layer === 0 && !this.#trainsEmbedding;
      if (isFront && !this.#firstBackward) {
        for (const used of [x, query, key, value, residual, context]) engine.release(used);
        return;
      }
      if (layer === this.architecture.layers - 1) {
        [residual, context] = [residual, context].map((scored) => {
          const all = zeros(engine, [batch.tokens.length, ...scored.shape.slice(1)]);
          addRows(all, scored, sources);
          engine.release(scored);
          return all;
        }) as [FloatValue, FloatValue];
      }
      const flat = { query, key, value, [gradientName("context")]: context };
      const attention = await attendBackward(engine, this.#backward!.attention, { batch, masks }, flat);
      for (const used of [query, key, value, context]) engine.release(used);
      const first = { x, ...rotary, ...attention };
      const total = isFront ? {} : { [gradientName("x")]: residual };
      await this.#withMasks("attentionInput", batch, layer, dropout, (masks) =>
        this.#runBackward("attentionInput", parameters, gradients, layer, { ...first, ...masks, ...total }, total),
      );
      for (const used of [x, ...Object.values(attention)]) engine.release(used);
      dx = residual;
    }
    if (this.#trainsEmbedding) addRows(gradients.get(this.architecture.embedding)!, dx, batch.tokens);
    engine.release(dx);
  }

  /** Releases a forward pass whose backward pass is not wanted. */
  release({ hidden, saved }: ForwardPass): void {
    const layers = saved?.layers.flatMap((layer) => Object.values(layer)) ?? [];
    for (const value of [hidden, ...layers, ...(saved ? [saved.last] : [])]) this.#engine.release(value);
  }

  /** What a layer saved, computed again where only its input was. */
  async #savedOf(
    parameters: Weights,
    batch: PackedBatch,
    layer: number,
    saved: Values,
    dropout: AdapterDropout | undefined,
  ) {
    let all = saved;
    if (!saved.query) {
      const again = await this.#runLayer(parameters, batch, layer, saved.x!, { save: true, dropout });
      this.#engine.release(again.output);
      all = { ...saved, ...again.saved };
    }
    return all as Values & Record<"x" | "query" | "key" | "value", FloatValue>;
  }

  /** Runs a section's backward program, its parameters' gradients accumulating in place. */
  async #runBackward(
    section: WeightedSection,
    parameters: Weights,
    gradients: Parameters,
    layer: number,
    inputs: Values,
    outputs: Values = {},
  ): Promise<Values> {
    const { architecture } = this;
    const totals = Object.fromEntries(
      Object.keys(architecture.sections[section].parameters).map((name) => [
        gradientName(name),
        gradients.get(architecture.parameterName(section, name, layer))!,
      ]),
    );
    const isFront = section === "attentionInput" && layer === 0 && !this.#trainsEmbedding;
    const program = isFront ? this.#firstBackward! : this.#backward![section];
    return program.run(
      { ...inputs, ...sectionParameters(this.architecture, section, parameters, layer), ...totals },
      { ...totals, ...outputs },
    );
  }

  /** Lends a section's adapters their masks in a layer, where they have any. */
  async #withMasks<Result>(
    section: WeightedSection,
    batch: PackedBatch,
    layer: number,
    dropout: AdapterDropout | undefined,
    use: (masks: Values) => Promise<Result>,
  ): Promise<Result> {
    const { masks, constants } = this.architecture.sections[section];
    // Behind the last attention there are only the scored positions.
    const scored = section === "attentionOutput" && layer === this.architecture.layers - 1;
    const sources = scored ? this.#tables.of(batch).sources : undefined;
    const made = Object.fromEntries(
      masks.map((name) => [name, dropout!.mask(layer, name, constants[name]!.shape[1] as number, sources)]),
    );
    const result = await use(made);
    for (const mask of Object.values(made)) this.#engine.release(mask);
    return result;
  }

  /** Gives back the tables of the last batch. */
  forgetTables(): void {
    this.#tables.forget();
  }
}
