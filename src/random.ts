import { UserError } from "./errors.ts";
import { hash32, rotateLeft } from "./hash.ts";

/**
 * The four unsigned 32-bit words of a generator; plain numbers, so that a checkpoint can hold them.
 */
export type RandomState = readonly [number, number, number, number];

/**
 * The one source of chance: xoshiro128** (Blackman and Vigna), seeded by a number and a path of
 * names.
 *
 * `Random.from(seed, "order", epoch)` is a stream of its own: it depends on nothing but its
 * arguments, so whatever is drawn elsewhere cannot shift it, and a resumed run finds it again
 * without replaying anything.
 */
export class Random {
  readonly #words: Uint32Array;

  /**
   * Continues from a saved state. Throws a `UserError` for what is not the state of a generator.
   */
  constructor(state: RandomState) {
    const words = Uint32Array.from(state);
    const faithful = state.length === 4 && state.every((word, index) => word === words[index]);
    if (!faithful || words.every((word) => word === 0)) {
      throw new UserError("the state of a random generator is four 32-bit numbers, not all zero", { field: "state" });
    }
    this.#words = words;
  }

  /** The stream that belongs to `seed` (an integer from 0) and a path such as `"sample", step`. */
  static from(seed: number, ...path: readonly (string | number)[]): Random {
    checkSeed(seed);
    const name = JSON.stringify([seed, ...path]);
    // The constant keeps the state from being all zero, which four hashes could be in theory.
    return new Random([hash32(name, 1), hash32(name, 2), hash32(name, 3), (hash32(name, 4) | 1) >>> 0]);
  }

  get state(): RandomState {
    const [a, b, c, d] = this.#words;
    return [a!, b!, c!, d!];
  }

  /** An unsigned 32-bit number. */
  nextWord(): number {
    const words = this.#words;
    const result = Math.imul(rotateLeft(Math.imul(words[1]!, 5), 7), 9) >>> 0;
    const shifted = words[1]! << 9;
    words[2]! ^= words[0]!;
    words[3]! ^= words[1]!;
    words[1]! ^= words[2]!;
    words[0]! ^= words[3]!;
    words[2]! ^= shifted;
    words[3] = rotateLeft(words[3]!, 11);
    return result;
  }

  /** A number in [0, 1) with all 53 bits random. */
  next(): number {
    const high = this.nextWord() >>> 5;
    const low = this.nextWord() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** An integer in [0, bound), every one equally likely; `bound` from 1 to 2^32. */
  integer(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) {
      throw new RangeError(`Random.integer: the bound must be an integer from 1 to 2^32, got ${bound}`);
    }
    const fair = 2 ** 32 - (2 ** 32 % bound); // words from here on would favour the small results
    let word = this.nextWord();
    while (word >= fair) word = this.nextWord();
    return word % bound;
  }

  /**
   * A draw from the standard normal distribution (Box and Muller; the second value is not kept, so
   * the state stays four words).
   */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  /** Shuffles in place (Fisher and Yates) and returns the same array. */
  shuffle<Items extends unknown[] | Int32Array | Uint32Array>(items: Items): Items {
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      const item = items[last];
      items[last] = items[other];
      items[other] = item;
    }
    return items;
  }
}

/** Throws a `UserError` unless the seed is an integer from 0 that a number holds exactly. */
export function checkSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new UserError(`must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}, got ${seed}`, { field: "seed" });
  }
}
