import type { PackedBatch } from "../data/batch.ts";
import { type Engine, type FloatValue, upload } from "../engine/engine.ts";
import { hash32 } from "../hash.ts";

/**
 * The masks of adapters' inputs in one training step. Each number follows from the seed, the step,
 * the layer and its module, the pair in the step, the part of the pair (the prompt or one of the
 * responses), the position in it and the column, and from nothing else: recomputed activations,
 * other microbatches and resumed runs meet the same masks. The prompt has one for all its
 * responses.
 */
export class AdapterDropout {
  readonly #engine: Engine;
  readonly #share: number;
  readonly #stream: string;
  readonly #tokenKeys: Uint32Array;

  /**
   * @param options.share of the numbers that are hidden, from 0 and below 1
   * @param options.firstExample how many examples of the step stand before the batch
   */
  constructor(
    engine: Engine,
    batch: PackedBatch,
    options: { share: number; seed: number; step: number; firstExample: number },
  ) {
    this.#engine = engine;
    this.#share = options.share;
    this.#stream = `dropout ${options.seed} ${options.step}`;
    this.#tokenKeys = tokenKeys(batch, options.firstExample);
  }

  /**
   * The mask of a module in a layer, [tokens, width]: 0 where hidden, otherwise 1 / (1 - share). To
   * be released by whoever asked.
   *
   * @param sources the tokens that it is for; all in their order if absent
   */
  mask(layer: number, module: string, width: number, sources?: Int32Array): FloatValue {
    const tokens = sources?.length ?? this.#tokenKeys.length;
    const mask = new Float64Array(tokens * width);
    const moduleKey = hash32(`${this.#stream} ${layer} ${module}`, 0);
    const hidden = Math.round(this.#share * 2 ** 32);
    const kept = 1 / (1 - this.#share);
    for (let row = 0; row < tokens; row++) {
      const key = mix(this.#tokenKeys[sources ? sources[row]! : row]! ^ moduleKey);
      const start = row * width;
      for (let column = 0; column < width; column++) {
        mask[start + column] = mix(key + Math.imul(column, 0x9e3779b9)) >>> 0 < hidden ? 0 : kept;
      }
    }
    return upload(this.#engine, [tokens, width], mask);
  }
}

function tokenKeys({ rows, tokens }: PackedBatch, firstExample: number): Uint32Array {
  const keys = new Uint32Array(tokens.length);
  rows.forEach(({ start, promptLength, responseLengths }, row) => {
    let index = start;
    [promptLength, ...responseLengths].forEach((length, part) => {
      const partKey = mix(Math.imul(firstExample + row + 1, 0x85ebca6b) ^ (part + 1));
      for (let position = 0; position < length; position++)
        keys[index++] = mix(partKey + Math.imul(position, 0x9e3779b9));
    });
  });
  return keys;
}

/** The finalizer of MurmurHash3: every bit of the input changes half of the bits of the result. */
function mix(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
