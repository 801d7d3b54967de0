import type { PackedBatch } from "../data/batch.ts";
import type { Engine, Executable, FloatValue } from "../engine/engine.ts";
import { gatherRows } from "../engine/rows.ts";
import { backwardProgram, gradientName } from "../graph/section.ts";
import type { AdapterDropout } from "./adapter-dropout.ts";
import { type Architecture, type Block, type Layer, parametersOf } from "./architecture.ts";
import { BatchTables } from "./batch-tables.ts";
import type { Parameters, ParameterValues } from "./parameters.ts";
import { attend, attendBackward } from "./row-attention.ts";
import type { ModelSection } from "./section-parameters.ts";
import { type BlockPrograms, compileBlock, runBackward } from "./section-programs.ts";

/** Values by name, as programs take and give them. */
export type Values = Record<string, FloatValue>;

type Projected = Values & Record<"query" | "key" | "value", FloatValue>;

/** A pass over a batch, forward and back. */
export interface Pass {
  readonly parameters: ParameterValues;
  readonly batch: PackedBatch;
  /** Masks the adapters' inputs, if they are compiled with it. */
  readonly dropout: AdapterDropout | undefined;
}

/** Runs the layers of a transformer, one at a time. */
export class Layers {
  readonly #engine: Engine;
  readonly #architecture: Architecture;
  /** One set of programs for each kind of block. */
  readonly #blocks = new Map<Block, BlockPrograms>();
  /**
   * The first block's first section where nothing in front of it trains; none where nothing in it
   * does either.
   */
  readonly #firstBackward: Executable | undefined;
  readonly #tables: BatchTables;

  constructor(engine: Engine, architecture: Architecture) {
    this.#engine = engine;
    this.#architecture = architecture;
    this.#tables = new BatchTables(engine, architecture);
    const trains = architecture.plan.trained !== "none";
    for (const block of new Set(architecture.layers.map((layer) => layer.block))) {
      this.#blocks.set(block, compileBlock(engine, block, { trains }));
    }
    // What flows out of the first block is of use to an embedding that trains only.
    if (!trains || this.#trainsEmbedding) return;
    const { attentionInput } = architecture.layers[0]!.block.sections;
    const first = backwardProgram(attentionInput, { without: ["x"] });
    this.#firstBackward = first.outputs.size > 0 ? engine.compile(first) : undefined;
  }

  get count(): number {
    return this.#architecture.layers.length;
  }

  /**
   * The output of a layer, and with `save` what its backward pass needs besides x.
   *
   * @param x [tokens, width]; the caller releases it
   * @param options.onKeysAndValues is lent the key and value, [tokens, keyValueHeads * headWidth]
   * @returns the output, [tokens, width]; of the last layer at the scored entries alone
   */
  async forward(
    pass: Pass,
    layer: number,
    x: FloatValue,
    options: { save: boolean; onKeysAndValues?: (values: { key: FloatValue; value: FloatValue }) => void },
  ): Promise<{ output: FloatValue; saved: Values }> {
    const engine = this.#engine;
    const { parameters, batch } = pass;
    const { attentionInput, attentionOutput } = this.#layer(layer).block.sections;
    const programs = this.#programs(layer);
    const { masks, rotary } = this.#tables.of(batch, layer);
    const version = options.save ? "saving" : "plain";
    const { query, key, value, ...kept } = (await this.#withMasks(attentionInput, pass, layer, (dropped) =>
      programs.attentionInput[version].run({
        ...{ x, ...rotary, ...dropped },
        ...parametersOf(attentionInput, parameters, layer),
      }),
    )) as Projected;
    const projections = { query, key, value };
    options.onKeysAndValues?.(projections);
    const context = await attend(engine, programs.attention.plain, { batch, masks }, projections);
    // Behind the last attention only the scored positions matter.
    const scored = this.#isLast(layer);
    const sources = this.#tables.sources(batch);
    const [residual, attended] = scored
      ? [gatherRows(engine, x, sources), gatherRows(engine, context, sources)]
      : [x, context];
    const own = parametersOf(attentionOutput, parameters, layer);
    const { output, ...saved } = await this.#withMasks(attentionOutput, pass, layer, (dropped) =>
      programs.attentionOutput[version].run({ x: residual, context: attended, ...dropped, ...own }),
    );
    if (scored) for (const used of [residual, context]) engine.release(used);
    if (options.save) return { output: output!, saved: { ...projections, ...kept, context: attended, ...saved } };
    for (const used of [...Object.values(projections), attended]) engine.release(used);
    return { output: output!, saved: {} };
  }

  /**
   * Adds the gradient of a layer's parameters to `gradients`, and releases what the layer saved.
   *
   * @param saved x and what `forward` saved; x alone if the rest is to be computed again
   * @param dx the gradient of the output, which is used up
   * @returns the gradient of x; undefined where nothing below it trains
   */
  async backward(
    pass: Pass,
    layer: number,
    saved: Values,
    dx: FloatValue,
    gradients: Parameters,
  ): Promise<FloatValue | undefined> {
    const engine = this.#engine;
    const { batch } = pass;
    const { attentionInput } = this.#layer(layer).block.sections;
    const programs = this.#programs(layer);
    const { masks, rotary } = this.#tables.of(batch, layer);
    const { x, query, key, value, ...rest } = await this.#allSaved(pass, layer, saved);
    const kept = Object.fromEntries(Object.keys(attentionInput.saved).map((name) => [name, rest[name]!]));
    const output = Object.fromEntries(Object.entries(rest).filter(([name]) => !(name in kept)));
    const [residual, context] = await this.#outputBackward(pass, layer, { x, ...output }, dx, gradients);
    const isFront = layer === 0 && !this.#trainsEmbedding;
    if (isFront && !this.#firstBackward) {
      for (const used of [x, query, key, value, residual, context, ...Object.values(kept)]) engine.release(used);
      return undefined;
    }
    const flat = { query, key, value, [gradientName("context")]: context };
    const attention = await attendBackward(engine, programs.attention.backward!, { batch, masks }, flat);
    for (const used of [query, key, value, context]) engine.release(used);
    const first = { x, ...rotary, ...kept, ...attention };
    const total = isFront ? {} : { [gradientName("x")]: residual };
    const program = isFront ? this.#firstBackward! : programs.attentionInput.backward!;
    const place = { parameters: pass.parameters, gradients, layer };
    await this.#withMasks(attentionInput, pass, layer, (dropped) =>
      runBackward(attentionInput, program, place, { ...first, ...dropped, ...total }, total),
    );
    for (const used of [x, ...Object.values(kept), ...Object.values(attention)]) engine.release(used);
    return residual;
  }

  /**
   * The backward pass of what comes after the attention: the gradients of x and of the context, for
   * all tokens where the attention needs them. What is given is used up, but for x.
   */
  async #outputBackward(
    pass: Pass,
    layer: number,
    { x, ...output }: Values,
    dx: FloatValue,
    gradients: Parameters,
  ): Promise<[residual: FloatValue, context: FloatValue]> {
    const engine = this.#engine;
    const { attentionOutput } = this.#layer(layer).block.sections;
    const program = this.#programs(layer).attentionOutput.backward!;
    const sources = this.#tables.sources(pass.batch);
    const place = { parameters: pass.parameters, gradients, layer };
    // Where the MLP runs beside the attention, its gradient depends on x.
    const beside = program.program.inputs.has("x") && this.#isLast(layer) ? gatherRows(engine, x!, sources) : x!;
    const second = await this.#withMasks(attentionOutput, pass, layer, (dropped) =>
      runBackward(attentionOutput, program, place, {
        ...{ x: beside, ...output, ...dropped },
        [gradientName("output")]: dx,
      }),
    );
    for (const used of [dx, ...Object.values(output), ...(beside === x ? [] : [beside])]) engine.release(used);
    const found = [second[gradientName("x")]!, second[gradientName("context")]!] as [FloatValue, FloatValue];
    const ends = layer === 0 && !this.#trainsEmbedding && !this.#firstBackward;
    if (ends || !this.#isLast(layer)) return found;
    return found.map((scored) => {
      const all = engine.zeros([pass.batch.tokens.length, ...scored.shape.slice(1)]);
      engine.addRows(all, scored, sources);
      engine.release(scored);
      return all;
    }) as [FloatValue, FloatValue];
  }

  /** The saved values of a layer, computed again where only its input was saved. */
  async #allSaved(pass: Pass, layer: number, saved: Values) {
    let all = saved;
    if (!saved.query) {
      const again = await this.forward(pass, layer, saved.x!, { save: true });
      this.#engine.release(again.output);
      all = { ...saved, ...again.saved };
    }
    return all as Projected & Record<"x", FloatValue>;
  }

  /** Lends a section's adapters their masks in a layer, where they have any. */
  async #withMasks<Result>(
    section: ModelSection,
    { batch, dropout }: Pass,
    layer: number,
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

  /** Gives back the tables of the last batch. */
  forgetTables(): void {
    this.#tables.forget();
  }

  get #trainsEmbedding(): boolean {
    return this.#architecture.plan.trained === "all";
  }

  #layer(index: number): Layer {
    return this.#architecture.layers[index]!;
  }

  #programs(layer: number): BlockPrograms {
    return this.#blocks.get(this.#layer(layer).block)!;
  }

  #isLast(layer: number): boolean {
    return layer === this.#architecture.layers.length - 1;
  }
}
