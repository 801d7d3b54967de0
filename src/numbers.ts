/**
 * Numbers in settings, each with bounds. A number beyond them is a slip of the hand: it would take
 * memory that no machine has, or become zero or infinity as float32. The bounds are wide enough for
 * every experiment that can be run.
 */
import { z } from "zod";

/** The most threads: no processor has more cores, and each takes memory of its own. */
export const mostThreads = 512;

/** A whole number from 1 to `most`, by default a billion; `why` explains the bound. */
export function count(most = 1e9, why?: string) {
  return z.int().positive({ abort: true }).max(most, why);
}

/** A whole number from 0 to `most`, by default a billion. */
export function countOrNone(most = 1e9, why?: string) {
  return z.int().nonnegative().max(most, why);
}

/**
 * A number above 0 that is neither 0 nor infinite as float32, even where a few of its kind are
 * multiplied.
 */
export function positive(most = 1e30, why?: string) {
  return z.number().positive({ abort: true }).min(1e-30, "a smaller number is 0 in float32").max(most, why);
}

/** A number from 0 to `most`. */
export function nonnegative(most: number, why?: string) {
  return z.number().nonnegative().max(most, why);
}

/** A number between -`most` and `most`. */
export function within(most: number) {
  return z.number().min(-most).max(most);
}
