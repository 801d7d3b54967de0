/**
 * The difference of the rotary frequencies from `theta ** (-2 i / width)`, to reach beyond the
 * pretrained context.
 */
export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "dynamic";
      readonly factor: number;
      /** Up to this length, in tokens, the frequencies are the usual ones. */
      readonly originalContextLength: number;
    }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      /** The context length of the pretraining, in tokens. */
      readonly originalContextLength: number;
    }
  | {
      readonly type: "yarn";
      readonly factor: number;
      /** On cosines and sines. */
      readonly attentionFactor: number;
      /** Turns in the original context from which on a frequency is kept. */
      readonly betaFast: number;
      /** Turns in the original context up to which a frequency is divided by `factor`. */
      readonly betaSlow: number;
      /** True if the bounds between these are rounded to whole pairs. */
      readonly truncate: boolean;
      readonly originalContextLength: number;
    }
  | {
      readonly type: "longrope";
      /** The divisors of each pair's frequency in sequences up to the original context. */
      readonly shortFactors: readonly number[];
      /** The same in longer ones. */
      readonly longFactors: readonly number[];
      /** On cosines and sines. */
      readonly attentionFactor: number;
      readonly originalContextLength: number;
    };

/** The settings that determine the rotary frequencies of a model. */
export interface Rope {
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | undefined;
  /** Numbers of each head that are rotated, its first ones; even. */
  readonly rotaryWidth: number;
}

/**
 * The rotary angle per position of each pair (Su et al. 2021, arXiv 2104.09864), in a sequence of
 * `length` tokens: [rotaryWidth / 2].
 */
export function rotaryFrequencies(rope: Rope, length: number): Float64Array {
  const { ropeTheta: theta, ropeScaling: scaling, rotaryWidth: width } = rope;
  const plain = plainFrequencies(theta, width);
  switch (scaling?.type) {
    case undefined:
      return plain;
    case "linear":
      return plain.map((frequency) => frequency / scaling.factor);
    case "dynamic":
      return plainFrequencies(theta * dynamicStretch(scaling, width, length), width);
    case "llama3":
      return plain.map((frequency) => llama3Frequency(frequency, scaling));
    case "yarn":
      return yarnFrequencies(plain, theta, scaling);
    case "longrope": {
      const factors = length > scaling.originalContextLength ? scaling.longFactors : scaling.shortFactors;
      return plain.map((frequency, pair) => frequency / factors[pair]!);
    }
  }
}

/** The factor on cosines and sines, by which scores grow where a context is stretched. */
export function rotaryFactor({ ropeScaling: scaling }: Rope): number {
  return scaling && "attentionFactor" in scaling ? scaling.attentionFactor : 1;
}

/**
 * The length that stands for all lengths with the same frequencies as `length`: 0 where the length
 * does not matter.
 */
export function frequencyLength({ ropeScaling: scaling }: Rope, length: number): number {
  if (scaling?.type === "dynamic") return Math.max(length, scaling.originalContextLength);
  if (scaling?.type !== "longrope") return 0;
  return scaling.originalContextLength + (length > scaling.originalContextLength ? 1 : 0);
}

function plainFrequencies(theta: number, width: number): Float64Array {
  return Float64Array.from({ length: width / 2 }, (_, pair) => theta ** ((-2 * pair) / width));
}

/**
 * The factor on theta of "dynamic NTK" scaling, which begins where the sequence is longer than the
 * original context.
 */
function dynamicStretch(
  { factor, originalContextLength }: Extract<RopeScaling, { type: "dynamic" }>,
  width: number,
  length: number,
): number {
  const ratio = Math.max(length, originalContextLength) / originalContextLength;
  return (factor * ratio - (factor - 1)) ** (width / (width - 2));
}

/**
 * Llama 3.1's scaling: long wavelengths are stretched by `factor`, short ones kept, those between
 * interpolated.
 */
function llama3Frequency(frequency: number, scaling: Extract<RopeScaling, { type: "llama3" }>): number {
  const turns = (scaling.originalContextLength * frequency) / (2 * Math.PI);
  if (turns < scaling.lowFrequencyFactor) return frequency / scaling.factor;
  if (turns > scaling.highFrequencyFactor) return frequency;
  const kept = (turns - scaling.lowFrequencyFactor) / (scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
  return ((1 - kept) * frequency) / scaling.factor + kept * frequency;
}

/**
 * YaRN (Peng et al. 2023, arXiv 2309.00071), "NTK by parts": the fast pairs are kept, the slow ones
 * divided by `factor`, with a linear ramp over the pairs between.
 */
function yarnFrequencies(
  plain: Float64Array,
  theta: number,
  { factor, betaFast, betaSlow, truncate, originalContextLength }: Extract<RopeScaling, { type: "yarn" }>,
): Float64Array {
  const width = 2 * plain.length;
  // The pair, as a real number, that turns so often in the original context.
  const pairOf = (turns: number) =>
    (width * Math.log(originalContextLength / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const rounded = truncate ? { down: Math.floor, up: Math.ceil } : { down: Number, up: Number };
  const first = Math.max(0, rounded.down(pairOf(betaFast)));
  const end = Math.min(width - 1, rounded.up(pairOf(betaSlow)));
  const span = end === first ? 0.001 : end - first;
  return plain.map((frequency, pair) => {
    const stretched = Math.min(1, Math.max(0, (pair - first) / span));
    return (stretched * frequency) / factor + (1 - stretched) * frequency;
  });
}
