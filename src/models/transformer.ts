import type { PackedBatch } from "../data/batch.ts";
import type { Engine, Executable, FloatValue } from "../engine/engine.ts";
import { gatherRows } from "../engine/rows.ts";
import { backwardProgram, gradientName } from "../graph/section.ts";
import type { AdapterDropout } from "./adapter-dropout.ts";
import { type Architecture, type Block, type Layer, parametersOf } from "./architecture.ts";
import { BatchTables } from "./batch-tables.ts";
import { Embedding } from "./embedding.ts";
import type { Parameters, ParameterValues } from "./parameters.ts";
import { attend, attendBackward } from "./row-attention.ts";
import type { ModelSection } from "./section-parameters.ts";
import { type BlockPrograms, compileBlock, compileSection, type SectionPrograms } from "./section-programs.ts";

type Values = Record<string, FloatValue>;
type Projected = Values & Record<"query" | "key" | "value", FloatValue>;

/**
 * What a forward pass keeps for its backward pass: for each layer the flat arrays that its sections
 * saved.
 */
interface SavedPass {
  readonly layers: Values[];
  /** Input of the last norm, at the scored entries. */
  readonly last: FloatValue;
}

/**
 * The result of a forward pass: hidden states after the last norm, [entries, width], and what
 * `backward` needs.
 */
export interface ForwardPass {
  readonly hidden: FloatValue;
  readonly saved: SavedPass | undefined;
}

/**
 * Runs a transformer forward and backward over packed batches. The programs are compiled once and
 * run for every layer, for the policy as for the reference; only the weights differ.
 */
export class Transformer {
  readonly architecture: Architecture;
  readonly embedding: Embedding;
  readonly #engine: Engine;
  /** One set of programs for each kind of block. */
  readonly #blocks = new Map<Block, BlockPrograms>();
  readonly #finalNorm: SectionPrograms;
  /**
   * The first block's first section where nothing in front of it trains; none where nothing in it
   * does either.
   */
  readonly #firstBackward: Executable | undefined;
  readonly #tables: BatchTables;

  constructor(engine: Engine, architecture: Architecture) {
    this.architecture = architecture;
    this.#engine = engine;
    this.embedding = new Embedding(engine, architecture);
    this.#tables = new BatchTables(engine, architecture);
    const trains = architecture.plan.trained !== "none";
    for (const block of new Set(architecture.layers.map((layer) => layer.block))) {
      this.#blocks.set(block, compileBlock(engine, block, { trains }));
    }
    this.#finalNorm = compileSection(engine, architecture.finalNorm, { trains });
    // What flows out of the first block is of use to an embedding that trains only.
    if (!trains || this.#trainsEmbedding) return;
    const { attentionInput } = architecture.layers[0]!.block.sections;
    const first = backwardProgram(attentionInput, { without: ["x"] });
    this.#firstBackward = first.outputs.size > 0 ? engine.compile(first) : undefined;
  }

  /** Whether the embedding has a gradient. */
  get #trainsEmbedding(): boolean {
    return this.architecture.plan.trained === "all";
  }

  /**
   * Hidden states at the scored entries of the batch, [entries, width], after the last norm.
   *
   * @param options.save what to keep for `backward`: nothing, all that it needs, or only each
   * layer's input, from which `backward` computes the rest again (activation checkpointing)
   * @param options.dropout masks the adapters' inputs, if they are compiled with it
   * @param options.onKeysAndValues is lent each layer's key and value,
   * [tokens, keyValueHeads * headWidth]
   */
  async forward(
    parameters: ParameterValues,
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
    let x = await this.embedding.forward(parameters, batch);
    for (let layer = 0; layer < this.architecture.layers.length; layer++) {
      const { output, saved } = await this.#runLayer(parameters, batch, layer, x, {
        save: save === "activations",
        dropout,
        onKeysAndValues: (values) => onKeysAndValues?.(layer, values),
      });
      if (save === "nothing") this.#engine.release(x);
      else layers.push({ x, ...saved });
      x = output;
    }
    const { hidden } = await this.#finalNorm.plain.run({
      x,
      ...parametersOf(this.architecture.finalNorm, parameters, 0),
    });
    if (save === "nothing") this.#engine.release(x);
    return { hidden: hidden!, saved: save === "nothing" ? undefined : { layers, last: x } };
  }

  /** One block: its output, and with `save` what its backward pass needs besides x. */
  async #runLayer(
    parameters: ParameterValues,
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
    const { attentionInput, attentionOutput } = this.#layer(layer).block.sections;
    const programs = this.#programs(layer);
    const { masks, rotary } = this.#tables.of(batch, layer);
    const version = save ? "saving" : "plain";
    const { query, key, value, ...kept } = (await this.#withMasks(attentionInput, batch, layer, dropout, (dropped) =>
      programs.attentionInput[version].run({
        ...{ x, ...rotary, ...dropped },
        ...parametersOf(attentionInput, parameters, layer),
      }),
    )) as Projected;
    const projections = { query, key, value };
    onKeysAndValues?.(projections);
    const context = await attend(engine, programs.attention.plain, { batch, masks }, projections);
    // Behind the last attention only the scored positions matter.
    const scored = this.#isLast(layer);
    const sources = this.#tables.sources(batch);
    const [residual, attended] = scored
      ? [gatherRows(engine, x, sources), gatherRows(engine, context, sources)]
      : [x, context];
    const own = parametersOf(attentionOutput, parameters, layer);
    const { output, ...saved } = await this.#withMasks(attentionOutput, batch, layer, dropout, (dropped) =>
      programs.attentionOutput[version].run({ x: residual, context: attended, ...dropped, ...own }),
    );
    if (scored) for (const used of [residual, context]) engine.release(used);
    if (save) return { output: output!, saved: { ...projections, ...kept, context: attended, ...saved } };
    for (const used of [...Object.values(projections), attended]) engine.release(used);
    return { output: output!, saved: {} };
  }

  /**
   * Adds the gradient of a loss to `gradients`, given its gradient for the hidden states, and
   * releases what the pass saved.
   *
   * @param gradients totals by parameter name, one for each that trains; those of the head are not
   * touched here.
   * @param dropout that of the forward pass
   */
  async backward(
    parameters: ParameterValues,
    batch: PackedBatch,
    pass: ForwardPass,
    hiddenGradient: FloatValue,
    gradients: Parameters,
    dropout?: AdapterDropout,
  ): Promise<void> {
    const engine = this.#engine;
    const { layers, last } = pass.saved!;
    const lastNorm = await this.#runBackward(
      this.architecture.finalNorm,
      this.#finalNorm.backward!,
      { parameters, gradients, layer: 0 },
      { x: last, [gradientName("hidden")]: hiddenGradient },
    );
    engine.release(last);
    let dx = lastNorm[gradientName("x")]!;
    for (let layer = layers.length - 1; layer >= 0; layer--) {
      const place = { parameters, gradients, layer };
      const { attentionInput, attentionOutput } = this.#layer(layer).block.sections;
      const programs = this.#programs(layer);
      const { masks, rotary } = this.#tables.of(batch, layer);
      const saved = await this.#savedOf(parameters, batch, layer, layers[layer]!, dropout);
      const { x, query, key, value, ...rest } = saved;
      const kept = Object.fromEntries(Object.keys(attentionInput.saved).map((name) => [name, rest[name]!]));
      const output = Object.fromEntries(Object.entries(rest).filter(([name]) => !(name in kept)));
      // Where the MLP runs beside the attention, its gradient depends on x.
      const takesX = programs.attentionOutput.backward!.program.inputs.has("x");
      const beside = takesX && this.#isLast(layer) ? gatherRows(engine, x, this.#tables.sources(batch)) : x;
      const second = await this.#withMasks(attentionOutput, batch, layer, dropout, (dropped) =>
        this.#runBackward(attentionOutput, programs.attentionOutput.backward!, place, {
          ...{ x: beside, ...output },
          ...dropped,
          [gradientName("output")]: dx,
        }),
      );
      let [residual, context] = [second[gradientName("x")]!, second[gradientName("context")]!];
      for (const used of [dx, ...Object.values(output), ...(beside === x ? [] : [beside])]) engine.release(used);
      const isFront = layer === 0 && !this.#trainsEmbedding;
      if (isFront && !this.#firstBackward) {
        for (const used of [x, query, key, value, residual, context, ...Object.values(kept)]) engine.release(used);
        return;
      }
      if (this.#isLast(layer)) {
        const sources = this.#tables.sources(batch);
        [residual, context] = [residual, context].map((scored) => {
          const all = engine.zeros([batch.tokens.length, ...scored.shape.slice(1)]);
          engine.addRows(all, scored, sources);
          engine.release(scored);
          return all;
        }) as [FloatValue, FloatValue];
      }
      const flat = { query, key, value, [gradientName("context")]: context };
      const attention = await attendBackward(engine, programs.attention.backward!, { batch, masks }, flat);
      for (const used of [query, key, value, context]) engine.release(used);
      const first = { x, ...rotary, ...kept, ...attention };
      const total = isFront ? {} : { [gradientName("x")]: residual };
      const program = isFront ? this.#firstBackward! : programs.attentionInput.backward!;
      await this.#withMasks(attentionInput, batch, layer, dropout, (dropped) =>
        this.#runBackward(attentionInput, program, place, { ...first, ...dropped, ...total }, total),
      );
      for (const used of [x, ...Object.values(kept), ...Object.values(attention)]) engine.release(used);
      dx = residual;
    }
    if (this.#trainsEmbedding) await this.embedding.backward(gradients, dx, batch);
    engine.release(dx);
  }

  /** Releases a forward pass whose backward pass is not wanted. */
  release({ hidden, saved }: ForwardPass): void {
    const layers = saved?.layers.flatMap((layer) => Object.values(layer)) ?? [];
    for (const value of [hidden, ...layers, ...(saved ? [saved.last] : [])]) this.#engine.release(value);
  }

  /** What a layer saved, computed again where only its input was. */
  async #savedOf(
    parameters: ParameterValues,
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
    return all as Projected & Record<"x", FloatValue>;
  }

  /** Runs a section's backward program, its parameters' gradients accumulating in place. */
  async #runBackward(
    section: ModelSection,
    program: Executable,
    { parameters, gradients, layer }: { parameters: ParameterValues; gradients: Parameters; layer: number },
    inputs: Values,
    outputs: Values = {},
  ): Promise<Values> {
    const totals = Object.fromEntries(
      Object.keys(section.parameters).map((name) => [gradientName(name), gradients.get(section.names[name]!(layer))!]),
    );
    return program.run(
      { ...inputs, ...parametersOf(section, parameters, layer), ...totals },
      { ...totals, ...outputs },
    );
  }

  /** Lends a section's adapters their masks in a layer, where they have any. */
  async #withMasks<Result>(
    section: ModelSection,
    batch: PackedBatch,
    layer: number,
    dropout: AdapterDropout | undefined,
    use: (masks: Values) => Promise<Result>,
  ): Promise<Result> {
    const { masks, constants } = section;
    // Behind the last attention there are only the scored positions.
    const scored = this.#isLast(layer) && section === this.#layer(layer).block.sections.attentionOutput;
    const sources = scored ? this.#tables.sources(batch) : undefined;
    const made = Object.fromEntries(
      masks.map((name) => [name, dropout!.mask(layer, name, constants[name]!.shape[1] as number, sources)]),
    );
    const result = await use(made);
    for (const mask of Object.values(made)) this.#engine.release(mask);
    return result;
  }

  #layer(index: number): Layer {
    return this.architecture.layers[index]!;
  }

  #programs(layer: number): BlockPrograms {
    return this.#blocks.get(this.#layer(layer).block)!;
  }

  #isLast(layer: number): boolean {
    return layer === this.architecture.layers.length - 1;
  }

  /** Gives back the tables of the last batch. */
  forgetTables(): void {
    this.#tables.forget();
  }
}
