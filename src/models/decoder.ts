import type { PackedBatch } from "../data/batch.ts";
import { type Engine, type Executable, type FloatValue, rows, upload } from "../engine/engine.ts";
import { gatherRows } from "../engine/rows.ts";
import { defineProgram, type Program } from "../graph/program.ts";
import { input, type Value } from "../graph/tensor.ts";
import {
  type Architecture,
  type Block,
  headInputs,
  headOf,
  type Layer,
  logitsOf,
  namedHead,
  parametersOf,
} from "./architecture.ts";
import type { LanguageModel } from "./language-model.ts";
import { type Rotary, rotaryTables } from "./rotary.ts";

/**
 * Keys and values of one layer, [capacity, sequences, keyValueHeads, headWidth]: a new position is
 * appended behind the last.
 */
interface LayerCache {
  key: FloatValue;
  value: FloatValue;
}

/**
 * Generates token by token with a cache of keys and values, for many sequences in step. Prompts of
 * different lengths are aligned at their ends; what stands before a shorter one is masked. A prompt
 * is computed once for all its copies.
 */
export class Decoder {
  readonly #engine: Engine;
  readonly #model: LanguageModel;
  /** One for each kind of block. */
  readonly #steps: ReadonlyMap<Block, Executable>;
  /** Logits of a hidden state before the last norm, as a step leaves it. */
  readonly #head: Executable;
  /** Logits of a hidden state after the last norm, as a forward pass leaves it. */
  readonly #logits: Executable;
  /**
   * The constant inputs of a step for each layer, and `#head` for the last norm and the vocabulary,
   * besides what changes.
   */
  readonly #layerParameters: readonly Record<string, Value>[];
  readonly #headParameters: Record<string, Value>;
  #layers: LayerCache[] = [];
  /** Positions in the cache before the first token of each sequence. */
  #padding = new Int32Array();
  #length = 0;
  #capacity = 0;

  constructor(engine: Engine, model: LanguageModel) {
    const { parameters } = model;
    const { architecture } = model.transformer;
    this.#engine = engine;
    this.#model = model;
    const { layers, finalNorm } = architecture;
    const blocks = new Set(layers.map(({ block }) => block));
    this.#steps = new Map(Array.from(blocks, (block) => [block, engine.compile(stepProgram(block))]));
    this.#head = engine.compile(headProgram(architecture, { norm: true }));
    this.#logits = engine.compile(headProgram(architecture, { norm: false }));
    this.#layerParameters = layers.map(({ block: { sections } }, layer) => ({
      ...parametersOf(sections.attentionInput, parameters, layer),
      ...parametersOf(sections.attentionOutput, parameters, layer),
    }));
    this.#headParameters = {
      ...parametersOf(finalNorm, parameters, 0),
      ...namedHead("head", headOf(architecture, parameters)!),
    };
  }

  /**
   * Begins `copies` sequences for each prompt. Returns the logits of their first new token,
   * [sequences, vocabulary], to be given back with the engine's `release`; copies of one prompt are
   * neighbours.
   *
   * @param prompts token ids, none empty
   * @param options.newTokens how often `next` will be called at most
   */
  async start(
    prompts: readonly Int32Array[],
    { copies, newTokens }: { copies: number; newTokens: number },
  ): Promise<FloatValue> {
    this.#dropCache();
    const { transformer, parameters } = this.#model;
    const batch = promptBatch(prompts);
    const longest = Math.max(...prompts.map(({ length }) => length));
    const sequences = batch.rows.flatMap((row) => Array.from({ length: copies }, () => row));
    this.#padding = Int32Array.from(sequences, (row) => longest - row.length);
    this.#length = longest;
    this.#capacity = longest + newTokens;
    const { hidden } = await transformer.forward(parameters, batch, {
      save: "nothing",
      onKeysAndValues: (layer, { key, value }) => {
        const { block } = transformer.architecture.layers[layer]!;
        this.#layers.push({ key: this.#spread(key, block, sequences), value: this.#spread(value, block, sequences) });
      },
    });
    transformer.forgetTables();
    const { logits } = await this.#logits.run({ hidden, ...this.#headParameters });
    this.#engine.release(hidden);
    const repeated = sequences.map((_, index) => Math.floor(index / copies));
    const result = gatherRows(this.#engine, logits!, repeated);
    this.#engine.release(logits!);
    return result;
  }

  /** Appends a token to every sequence; returns the logits of the next, [sequences, vocabulary]. */
  async next(tokens: Int32Array): Promise<FloatValue> {
    if (this.#length === this.#capacity) throw new Error(`the cache is full after ${this.#capacity} positions`);
    const engine = this.#engine;
    const { transformer, parameters } = this.#model;
    const { layers } = transformer.architecture;
    const position = this.#length;
    const positions = this.#padding.map((padding) => position - padding);
    const { rotary, masks, release } = this.#tables(layers, positions);
    let x = await transformer.embedding.forward(parameters, { tokens, positions });
    for (const [layer, cache] of this.#layers.entries()) {
      const { block, rotary: own, window } = layers[layer]!;
      const cached = { cachedKey: rows(cache.key, 0, position), cachedValue: rows(cache.value, 0, position) };
      const { output } = await this.#steps
        .get(block)!
        .run(
          { x, ...cached, mask: masks.get(window)!, ...rotary.get(own), ...this.#layerParameters[layer] },
          { key: rowOf(cache.key, position), value: rowOf(cache.value, position) },
        );
      engine.release(x);
      x = output!;
    }
    this.#length++;
    const { logits } = await this.#head.run({ x, ...this.#headParameters });
    release();
    engine.release(x);
    return logits!;
  }

  /** Goes on with the sequences at `indices` alone, in that order. */
  keep(indices: readonly number[]): void {
    const old = this.#padding.length;
    const sources = Array.from({ length: this.#length }, (_, position) => indices.map((from) => position * old + from));
    const thinned = (cache: FloatValue): FloatValue => {
      const kept = this.#engine.allocate([this.#capacity, indices.length, ...cache.shape.slice(2)]);
      this.#engine.copyRows(perSequence(kept), perSequence(cache), sources.flat());
      this.#engine.release(cache);
      return kept;
    };
    for (const cache of this.#layers) {
      cache.key = thinned(cache.key);
      cache.value = thinned(cache.value);
    }
    this.#padding = Int32Array.from(indices, (index) => this.#padding[index]!);
  }

  /** Gives memory and programs back. */
  dispose(): void {
    this.#dropCache();
    for (const program of [...this.#steps.values(), this.#head, this.#logits]) program.dispose();
  }

  #dropCache(): void {
    for (const { key, value } of this.#layers) for (const used of [key, value]) this.#engine.release(used);
    this.#layers = [];
  }

  /**
   * Copies the prompts' keys or values, [tokens, width], into a cache, each sequence ending at the
   * longest prompt's end.
   */
  #spread(flat: FloatValue, { keyValueHeads, headWidth }: Block, sequences: readonly { start: number }[]): FloatValue {
    const cache = this.#engine.allocate([this.#capacity, sequences.length, keyValueHeads, headWidth]);
    // What is masked must still be finite: it is the sequence's first position again.
    const sources = Array.from({ length: this.#length }, (_, position) =>
      sequences.map(({ start }, sequence) => start + Math.max(0, position - this.#padding[sequence]!)),
    );
    this.#engine.copyRows(perSequence(cache), flat, sources.flat());
    return cache;
  }

  /** The tables of one step of all layers: layers that are alike share theirs. */
  #tables(layers: readonly Layer[], positions: Int32Array) {
    const rotary = new Map<Rotary | undefined, Record<string, FloatValue>>();
    const lengths = positions.map((position) => position + 1);
    const masks = new Map<number | undefined, FloatValue>();
    for (const layer of layers) {
      if (layer.rotary && !rotary.has(layer.rotary)) {
        rotary.set(layer.rotary, rotaryTables(this.#engine, layer.rotary, { positions, lengths }));
      }
      if (!masks.has(layer.window)) masks.set(layer.window, this.#mask(layer.window));
    }
    const release = () => {
      const tables = Array.from(rotary.values()).flatMap((table) => Object.values(table));
      for (const value of [...tables, ...masks.values()]) this.#engine.release(value);
    };
    return { rotary, masks, release };
  }

  /** Hides what stands before a sequence, and what its next token is too far from to see. */
  #mask(window: number = Number.POSITIVE_INFINITY): FloatValue {
    const length = this.#length;
    const mask = new Float64Array(this.#padding.length * length);
    // The token itself is not in the cache, and is one of those that the window holds.
    const tooFar = Math.max(0, length - window + 1);
    for (const [sequence, padding] of this.#padding.entries()) {
      const start = sequence * length;
      mask.fill(-1e30, start, start + Math.max(padding, tooFar));
    }
    return upload(this.#engine, [this.#padding.length, 1, 1, length], mask);
  }
}

function stepProgram({ step: { inputs, parameters, outputs } }: Block): Program {
  return defineProgram("step", { ...inputs, ...parameters }, outputs);
}

/** The logits, with `norm` behind the last norm. */
function headProgram(architecture: Architecture, { norm }: { norm: boolean }): Program {
  const { width, finalNorm } = architecture;
  const head = headInputs(architecture);
  const hidden = norm ? finalNorm.outputs.hidden! : input(["rows", width]);
  const inputs = norm ? { ...finalNorm.inputs, ...finalNorm.constants, ...finalNorm.parameters } : { hidden };
  return defineProgram(
    "logits",
    { ...inputs, ...namedHead("head", head) },
    { logits: logitsOf(architecture, hidden, head) },
  );
}

/** A cache with a row for each position of each sequence. */
function perSequence({ shape: [positions, sequences, ...head], data }: FloatValue): FloatValue {
  return { shape: [positions! * sequences!, ...head], data };
}

/** The memory of one position in a cache, as a step's key or value [sequences, width]. */
function rowOf(cache: FloatValue, position: number): FloatValue {
  return rows(cache, position, position + 1);
}

/** Prompts as rows without responses, scored at their last tokens. */
function promptBatch(prompts: readonly Int32Array[]): PackedBatch {
  const total = prompts.reduce((sum, { length }) => sum + length, 0);
  const tokens = new Int32Array(total);
  const positions = new Int32Array(total);
  let start = 0;
  const rows = prompts.map((prompt) => {
    tokens.set(prompt, start);
    for (let index = 0; index < prompt.length; index++) positions[start + index] = index;
    const row = { start, promptLength: prompt.length, responseLengths: [], example: undefined, length: prompt.length };
    start += prompt.length;
    return row;
  });
  const entries = rows.map((row, index) => ({
    source: row.start + row.length - 1,
    label: 0,
    row: index,
    response: 0,
    index: 0,
  }));
  return { tokens, positions, rows, entries };
}
