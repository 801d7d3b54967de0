import { elementCount, type Tensor, type Value } from "../tensor.ts";

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A value for each tensor: floats (which float32 holds exactly) in a range, integers below a limit.
 */
export function randomValues(
  tensors: Readonly<Record<string, Tensor>>,
  options: {
    lengths?: Readonly<Record<string, number>> | undefined;
    range?: readonly [number, number] | undefined;
    labelsBelow?: number | undefined;
    seed?: number;
  } = {},
): Record<string, Value> {
  const { lengths = {}, range = [-1.5, 1.5], labelsBelow = 1, seed = 1 } = options;
  const [low, high] = range;
  const random = randomNumbers(seed);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      const shape = tensor.shape.map((dimension) => (typeof dimension === "number" ? dimension : lengths[dimension]!));
      const data =
        tensor.type === "int"
          ? Int32Array.from({ length: elementCount(shape) }, () => Math.floor(random() * labelsBelow))
          : Float32Array.from({ length: elementCount(shape) }, () => low + (high - low) * random());
      return [name, { shape, data }];
    }),
  );
}

/**
 * The largest difference of two arrays of equal length, relative to `max(1, |expected|)`; NaN
 * counts as infinite.
 */
export function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let index = 0; index < expected.length; index++) {
    const error = Math.abs(actual[index]! - expected[index]!) / Math.max(1, Math.abs(expected[index]!));
    largest = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(largest, error);
  }
  return largest;
}
