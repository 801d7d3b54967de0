import type { PackedBatch } from "../data/batch.ts";
import { type Engine, type Executable, type FloatValue, rows } from "../engine/engine.ts";
import { gatherRows } from "../engine/rows.ts";
import { linear } from "../graph/ops/matmul.ts";
import { defineProgram, type Program } from "../graph/program.ts";
import { input, type Value } from "../graph/tensor.ts";
import { type Architecture, sectionParameters } from "./architecture.ts";
import type { LanguageModel } from "./language-model.ts";
import { rotaryTables } from "./rotary.ts";

/** Keys and values of one layer, [capacity, sequences, keyValueHeads, headWidth]: a new position is appended behind the last. */
interface LayerCache {
  key: FloatValue;
  value: FloatValue;
}

/**
 * Generates token by token with a cache of keys and values, for many sequences in step. Prompts of different lengths are aligned at their
 * ends; what stands before a shorter one is masked. A prompt is computed once for all its copies.
 */
export class Decoder {
  readonly #engine: Engine;
  readonly #model: LanguageModel;
  readonly #step: Executable;
  /** Logits of a hidden state before the last norm, as `#step` leaves it. */
  readonly #head: Executable;
  /** Logits of a hidden state after the last norm, as a forward pass leaves it. */
  readonly #logits: Executable;
  /** What `#step` takes for each layer, and `#head` for the last norm and the vocabulary, besides what changes. */
  readonly #layerWeights: readonly Record<string, Value>[];
  readonly #headWeights: Record<string, Value>;
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
    this.#step = engine.compile(stepProgram(architecture));
    this.#head = engine.compile(headProgram(architecture, { norm: true }));
    this.#logits = engine.compile(headProgram(architecture, { norm: false }));
    this.#layerWeights = Array.from({ length: architecture.layers }, (_, layer) => ({
      ...sectionParameters(architecture, "attentionInput", parameters, layer),
      ...sectionParameters(architecture, "attentionOutput", parameters, layer),
    }));
    this.#headWeights = {
      ...sectionParameters(architecture, "finalNorm", parameters, 0),
      head: parameters.get(architecture.head)!,
    };
  }

  /**
   * Begins `copies` sequences for each prompt. Returns the logits of their first new token, [sequences, vocabulary], to be given back with
   * the engine's `release`; copies of one prompt are neighbours.
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
      onKeysAndValues: (_layer, { key, value }) => {
        this.#layers.push({ key: this.#spread(key, sequences), value: this.#spread(value, sequences) });
      },
    });
    transformer.forgetTables();
    const { logits } = await this.#logits.run({ hidden, head: this.#headWeights.head! });
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
    const { architecture } = transformer;
    const position = this.#length;
    const tables = rotaryTables(
      engine,
      architecture,
      this.#padding.map((padding) => position - padding),
    );
    const mask = this.#mask();
    let x = gatherRows(engine, parameters.get(architecture.embedding)!, tokens);
    for (const [layer, cache] of this.#layers.entries()) {
      const cached = { cachedKey: rows(cache.key, 0, position), cachedValue: rows(cache.value, 0, position) };
      const own = { key: rowOf(cache.key, position), value: rowOf(cache.value, position) };
      const { output } = await this.#step.run({ x, ...cached, mask, ...tables, ...this.#layerWeights[layer] }, own);
      engine.release(x);
      x = output!;
    }
    this.#length++;
    const { logits } = await this.#head.run({ x, ...this.#headWeights });
    for (const used of [x, mask, tables.cos, tables.sin]) engine.release(used);
    return logits!;
  }

  /** Goes on with the sequences at `indices` alone, in that order. */
  keep(indices: readonly number[]): void {
    const old = this.#padding.length;
    const width = this.#keyValueWidth;
    const thinned = (cache: FloatValue): FloatValue => {
      const kept = this.#allocateCache(indices.length);
      for (let position = 0; position < this.#length; position++) {
        for (const [to, from] of indices.entries()) {
          const start = (position * old + from) * width;
          kept.data.set(cache.data.subarray(start, start + width), (position * indices.length + to) * width);
        }
      }
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
    for (const program of [this.#step, this.#head, this.#logits]) program.dispose();
  }

  #dropCache(): void {
    for (const { key, value } of this.#layers) for (const used of [key, value]) this.#engine.release(used);
    this.#layers = [];
  }

  get #keyValueWidth(): number {
    const { keyValueHeads, headWidth } = this.#model.configuration;
    return keyValueHeads * headWidth;
  }

  #allocateCache(sequences: number): FloatValue {
    const { keyValueHeads, headWidth } = this.#model.configuration;
    return this.#engine.allocate([this.#capacity, sequences, keyValueHeads, headWidth]);
  }

  /** Copies the prompts' keys or values, [tokens, width], into a cache, each sequence ending at the longest prompt's end. */
  #spread(flat: FloatValue, sequences: readonly { start: number; length: number }[]): FloatValue {
    const width = this.#keyValueWidth;
    const cache = this.#allocateCache(sequences.length);
    for (const [sequence, { start, length }] of sequences.entries()) {
      const padding = this.#padding[sequence]!;
      for (let position = 0; position < padding + length; position++) {
        const to = (position * sequences.length + sequence) * width;
        const from = (start + position - padding) * width;
        if (position >= padding) cache.data.set(flat.data.subarray(from, from + width), to);
        // What is masked must still be finite.
        else cache.data.fill(0, to, to + width);
      }
    }
    return cache;
  }

  #mask(): FloatValue {
    const mask = this.#engine.allocate([this.#padding.length, 1, 1, this.#length]);
    mask.data.fill(0);
    for (const [sequence, padding] of this.#padding.entries()) {
      mask.data.fill(-1e30, sequence * this.#length, sequence * this.#length + padding);
    }
    return mask;
  }
}

function stepProgram({ step: { inputs, weights, outputs } }: Architecture): Program {
  return defineProgram("step", { ...inputs, ...weights }, outputs);
}

/** The logits, with `norm` behind the last norm. */
function headProgram(
  { width, vocabularySize, sections: { finalNorm } }: Architecture,
  { norm }: { norm: boolean },
): Program {
  const head = input([vocabularySize, width]);
  const hidden = norm ? finalNorm.outputs.hidden! : input(["rows", width]);
  const inputs = norm ? { ...finalNorm.inputs, ...finalNorm.constants, ...finalNorm.parameters } : { hidden };
  return defineProgram("logits", { ...inputs, head }, { logits: linear(hidden, head) });
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
