import { type Engine, type FloatValue, upload } from "../engine/engine.ts";
import { add, multiply } from "../graph/ops/elementwise.ts";
import { reshape, rotateHalf } from "../graph/ops/shape.ts";
import type { Tensor } from "../graph/tensor.ts";

/**
 * How the rotary frequencies differ from `theta ** (-2 i / headWidth)`, to reach beyond the
 * pretrained context.
 */
export type RopeScaling =
  | { type: "linear"; factor: number }
  | {
      type: "llama3";
      factor: number;
      lowFrequencyFactor: number;
      highFrequencyFactor: number;
      /** The context length of the pretraining, in tokens. */
      originalContextLength: number;
    };

/** The rotary part of a configuration. */
export interface Rope {
  ropeTheta: number;
  ropeScaling: RopeScaling | undefined;
}

/** One set of rotary positions. Layers that share it share its tables. */
export interface Rotary {
  /** Numbers of each head that are rotated. */
  readonly width: number;
  /** The angle per position of each of them. */
  frequencies(): Float64Array;
}

/** Rotary positions; their frequencies are computed when they are first asked for. */
export function rotaryOf(rope: Rope, headWidth: number): Rotary {
  let frequencies: Float64Array | undefined;
  return {
    width: headWidth,
    frequencies() {
      frequencies ??= rotaryFrequencies({ ...rope, headWidth });
      return frequencies;
    },
  };
}

/**
 * The rotary angle per position of each column of a head (Su et al. 2021): [headWidth], the second
 * half repeating the first, as the "rotate half" convention of Hugging Face wants it.
 */
export function rotaryFrequencies({ headWidth, ropeTheta, ropeScaling }: Rope & { headWidth: number }): Float64Array {
  return Float64Array.from({ length: headWidth }, (_, column) => {
    const pair = column % (headWidth / 2);
    const frequency = ropeTheta ** ((-2 * pair) / headWidth);
    if (!ropeScaling) return frequency;
    if (ropeScaling.type === "linear") return frequency / ropeScaling.factor;
    return llama3Frequency(frequency, ropeScaling);
  });
}

/**
 * Llama 3.1's scaling: long wavelengths are stretched by `factor`, short ones kept, those between
 * interpolated.
 */
function llama3Frequency(frequency: number, scaling: Extract<Rope["ropeScaling"], { type: "llama3" }>): number {
  const turns = (scaling.originalContextLength * frequency) / (2 * Math.PI);
  if (turns < scaling.lowFrequencyFactor) return frequency / scaling.factor;
  if (turns > scaling.highFrequencyFactor) return frequency;
  const kept = (turns - scaling.lowFrequencyFactor) / (scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
  return ((1 - kept) * frequency) / scaling.factor + kept * frequency;
}

/**
 * Cosines and sines of the rotary angles of tokens at `positions`, each [tokens, 1, rotary width].
 */
export function rotaryTables(
  engine: Engine,
  rotary: Rotary,
  positions: Int32Array,
): { cos: FloatValue; sin: FloatValue } {
  const frequencies = rotary.frequencies();
  const table = (wave: (angle: number) => number) => {
    const values = new Float64Array(positions.length * rotary.width);
    for (const [token, position] of positions.entries()) {
      for (let column = 0; column < rotary.width; column++) {
        values[token * rotary.width + column] = wave(position * frequencies[column]!);
      }
    }
    return upload(engine, [positions.length, 1, rotary.width], values);
  };
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/**
 * Rotates the positions of tokens into each head of a query or key, [tokens, heads * headWidth].
 */
export function rotate(
  flat: Tensor,
  { heads, headWidth }: { heads: number; headWidth: number },
  { cos, sin }: Readonly<Record<"cos" | "sin", Tensor>>,
): Tensor {
  const perHead = reshape(flat, ["tokens", heads, headWidth]);
  const rotated = add(multiply(perHead, cos), multiply(rotateHalf(perHead), sin));
  return reshape(rotated, ["tokens", heads * headWidth]);
}
