import type { Parameters } from "../../src/models/parameters.ts";

/** `‖actual - expected‖ / ‖expected‖`; NaN where a number is not finite or lengths differ. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.NaN;
  let [difference, norm] = [0, 0];
  for (let index = 0; index < expected.length; index++) {
    difference += (actual[index]! - expected[index]!) ** 2;
    norm += expected[index]! ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / norm);
}

/**
 * The largest `|actual - expected| / max(1, |expected|)`; NaN where a number is NaN or lengths
 * differ.
 */
export function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  return largestDifference(actual, expected, (value) => Math.max(1, Math.abs(value)));
}

/**
 * The largest `|actual - expected|`, over `unit(expected)` if given; NaN where a number is NaN or
 * lengths differ.
 */
export function largestDifference(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  unit: (expected: number) => number = () => 1,
): number {
  if (actual.length !== expected.length) return Number.NaN;
  let largest = 0;
  // Math.max passes NaN on.
  for (let index = 0; index < expected.length; index++) {
    largest = Math.max(largest, Math.abs(actual[index]! - expected[index]!) / unit(expected[index]!));
  }
  return largest;
}

/**
 * The parameter whose gradients are furthest apart, and by how much, relative to the expected
 * gradient's norm.
 */
export function worstGradient(actual: Parameters, expected: Parameters): { name: string; error: number } {
  const errors = Array.from(expected, ([name, { data }]) => ({
    name,
    error: relativeError(actual.get(name)?.data ?? [], data),
  }));
  return errors.reduce((worst, one) => (one.error <= worst.error ? worst : one));
}
