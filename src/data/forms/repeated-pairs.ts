import { createHash } from "node:crypto";
import { Tally } from "../tally.ts";
import type { PreferencePair } from "./pairs.ts";

const asGiven = 1;
const swapped = 2;

/**
 * Counts pairs that equal an earlier one, and pairs that contradict one: the same prompt with the answers swapped.
 *
 * Pairs are known by 52 bits of a hash, so that the texts are not held twice: about 50 bytes for each, and among a million
 * pairs one is counted in error with a chance of 1 in 9,000.
 */
export class RepeatedPairs {
  readonly repeats = new Tally();
  readonly contradictions = new Tally();
  /** By the hash of the prompt and both answers in alphabetical order: the orders in which they came. */
  readonly #seen = new Map<number, number>();

  add({ prompt, chosen, rejected, place }: PreferencePair): void {
    const inOrder = chosen < rejected;
    const [first, second] = inOrder ? [chosen, rejected] : [rejected, chosen];
    const hash = createHash("sha1").update(`${prompt.length} ${first.length} `).update(prompt).update(first);
    const digest = hash.update(second).digest();
    const key = digest.readUIntBE(0, 6) * 16 + (digest[6]! & 15);
    const order = inOrder ? asGiven : swapped;
    const seen = this.#seen.get(key) ?? 0;
    if (seen & order) this.repeats.add(place);
    if (seen & (order ^ (asGiven | swapped))) this.contradictions.add(place);
    this.#seen.set(key, seen | order);
  }
}
