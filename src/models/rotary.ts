import { type Engine, type FloatValue, upload } from "../engine/engine.ts";
import { add, multiply } from "../graph/ops/elementwise.ts";
import { type PairLayout, reshape, swapPairs } from "../graph/ops/shape.ts";
import { elementCount, type Tensor } from "../graph/tensor.ts";
import { frequencyLength, type Rope, rotaryFactor, rotaryFrequencies } from "./rotary-frequencies.ts";

/** One set of rotary positions. Layers that share it share its tables. */
export interface Rotary {
  /** The width of its tables, which is a head's. */
  readonly headWidth: number;
  /** On cosines and sines of the numbers that are rotated. */
  readonly factor: number;
  /** Equal for lengths of sequences that have the same angles. */
  angleClass(length: number): number;
  /** How the numbers of a head turn in a sequence of so many tokens. */
  angles(length: number): RotaryAngles;
}

/** For each number of a head, [headWidth]. */
interface RotaryAngles {
  /** The angle per position. */
  readonly frequencies: Float64Array;
  /** The sign of its partner's sine; 0 where the number is not rotated. */
  readonly signs: Float64Array;
}

/**
 * Rotary positions; their frequencies are computed when they are first asked for.
 *
 * @param layout which of a head's numbers are pairs: the convention of Hugging Face is halves
 */
export function rotaryOf(rope: Rope, headWidth: number, layout: PairLayout = "halves"): Rotary {
  const known = new Map<number, RotaryAngles>();
  const angleClass = (length: number) => frequencyLength(rope, length);
  return {
    headWidth,
    factor: rotaryFactor(rope),
    angleClass,
    angles(length) {
      const key = angleClass(length);
      const angles = known.get(key) ?? anglesOf(rope, headWidth, layout, length);
      known.set(key, angles);
      return angles;
    },
  };
}

function anglesOf(rope: Rope, headWidth: number, layout: PairLayout, length: number): RotaryAngles {
  const ofPairs = rotaryFrequencies(rope, length);
  const half = rope.rotaryWidth / 2;
  const frequencies = new Float64Array(headWidth);
  const signs = new Float64Array(headWidth);
  for (let pair = 0; pair < half; pair++) {
    const [first, second] = layout === "halves" ? [pair, pair + half] : [2 * pair, 2 * pair + 1];
    frequencies[first] = ofPairs[pair]!;
    frequencies[second] = ofPairs[pair]!;
    signs[first] = -1;
    signs[second] = 1;
  }
  return { frequencies, signs };
}

/** Tokens at their positions, each in a sequence of some length. */
export interface RotatedTokens {
  readonly positions: Int32Array;
  /** For each token how many tokens its sequence has in all. */
  readonly lengths: Int32Array;
}

/**
 * The tables by which `rotate` turns a head's numbers, each [tokens, 1, headWidth]: `cos` is the
 * factor on a number, and `sin` that on its partner, with the rotation's sign. Numbers that are not
 * rotated have 1 and 0.
 */
export function rotaryTables(
  engine: Engine,
  rotary: Rotary,
  { positions, lengths }: RotatedTokens,
): { cos: FloatValue; sin: FloatValue } {
  const { headWidth, factor } = rotary;
  const shape = [positions.length, 1, headWidth];
  const [cos, sin] = [new Float64Array(elementCount(shape)), new Float64Array(elementCount(shape))];
  for (const [token, position] of positions.entries()) {
    const { frequencies, signs } = rotary.angles(lengths[token]!);
    const start = token * headWidth;
    for (let column = 0; column < headWidth; column++) {
      const angle = position * frequencies[column]!;
      const sign = signs[column]!;
      cos[start + column] = sign === 0 ? 1 : factor * Math.cos(angle);
      sin[start + column] = sign * factor * Math.sin(angle);
    }
  }
  return { cos: upload(engine, shape, cos), sin: upload(engine, shape, sin) };
}

/** The heads of a query or key, and which of a head's numbers are rotated: all, unless told. */
export interface RotatedHeads {
  readonly heads: number;
  readonly headWidth: number;
  readonly rotaryWidth?: number;
  readonly layout?: PairLayout;
}

/**
 * Rotates the positions of tokens into each head of a query or key, [tokens, heads * headWidth].
 */
export function rotate(
  flat: Tensor,
  { heads, headWidth, rotaryWidth = headWidth, layout = "halves" }: RotatedHeads,
  { cos, sin }: Readonly<Record<"cos" | "sin", Tensor>>,
): Tensor {
  const perHead = reshape(flat, ["tokens", heads, headWidth]);
  const partners = swapPairs(perHead, { width: rotaryWidth, layout });
  const rotated = add(multiply(perHead, cos), multiply(partners, sin));
  return reshape(rotated, ["tokens", heads * headWidth]);
}
