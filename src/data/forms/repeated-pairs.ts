import { createHash } from "node:crypto";
import { Tally } from "../tally.ts";
import type { PreferencePair } from "./pairs.ts";

const asGiven = 1;
const swapped = 2;

/**
 * Counts pairs that equal an earlier one, and pairs that contradict one: the same prompt with the
 * answers swapped.
 *
 * Most pairs differ from all others in their lengths and a few characters, which is looked at first
 * and keeps no texts but those that the caller has anyway. Where that is not enough, 52 bits of a
 * hash of the whole texts decide: among a million such pairs, one is counted in error with a chance
 * of 1 in 9,000.
 */
export class RepeatedPairs {
  readonly repeats = new Tally();
  readonly contradictions = new Tally();
  /** The first pair of each rough likeness; undefined once it has been hashed. */
  readonly #firsts = new Map<number, PreferencePair | undefined>();
  /** By hash: the orders in which the two answers came. */
  readonly #orders = new Map<number, number>();

  add(pair: PreferencePair): void {
    const likeness = likenessOf(pair);
    if (!this.#firsts.has(likeness)) {
      this.#firsts.set(likeness, pair);
      return;
    }
    const first = this.#firsts.get(likeness);
    if (first) this.#count(first);
    this.#firsts.set(likeness, undefined);
    this.#count(pair);
  }

  #count({ prompt, chosen, rejected, place }: PreferencePair): void {
    const inOrder = chosen < rejected;
    const [first, second] = inOrder ? [chosen, rejected] : [rejected, chosen];
    const digest = createHash("sha1").update(`${prompt.length} ${first.length} ${prompt}${first}${second}`).digest();
    const key = digest.readUIntBE(0, 6) * 16 + (digest[6]! & 15);
    const order = inOrder ? asGiven : swapped;
    const seen = this.#orders.get(key) ?? 0;
    if (seen & order) this.repeats.add(place);
    if (seen & (order ^ (asGiven | swapped))) this.contradictions.add(place);
    this.#orders.set(key, seen | order);
  }
}

/** A number that is the same for pairs that are the same, the answers in either order. */
function likenessOf({ prompt, chosen, rejected }: PreferencePair): number {
  return (Math.imul(sampled(prompt), 0x9e3779b1) ^ (sampled(chosen) + sampled(rejected))) | 0;
}

const samples = 16;

/** Mixes the length of a text and characters spread over it. */
function sampled(text: string): number {
  let hash = text.length;
  for (let sample = 1; sample <= samples; sample++) {
    const at = Math.floor((sample * text.length) / samples) - 1;
    hash = Math.imul(hash ^ (at < 0 ? 0 : text.charCodeAt(at)), 0x5bd1e995);
    hash ^= hash >>> 15;
  }
  return hash;
}
