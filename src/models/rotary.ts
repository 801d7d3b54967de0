import type { Engine, FloatValue } from "../engine/engine.ts";
import type { Rope } from "../families/rope-configuration.ts";

/**
 * The rotary angle per position of each column of a head (Su et al. 2021): [headWidth], the second half repeating the first, as the
 * "rotate half" convention of Hugging Face wants it.
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

/** Llama 3.1's scaling: long wavelengths are stretched by `factor`, short ones kept, those between interpolated. */
function llama3Frequency(frequency: number, scaling: Extract<Rope["ropeScaling"], { type: "llama3" }>): number {
  const turns = (scaling.originalContextLength * frequency) / (2 * Math.PI);
  if (turns < scaling.lowFrequencyFactor) return frequency / scaling.factor;
  if (turns > scaling.highFrequencyFactor) return frequency;
  const kept = (turns - scaling.lowFrequencyFactor) / (scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
  return ((1 - kept) * frequency) / scaling.factor + kept * frequency;
}

/** Cosines and sines of the rotary angles of tokens at `positions`, each [tokens, 1, rotaryWidth]. */
export function rotaryTables(
  engine: Engine,
  { rotaryWidth, rotaryFrequencies: frequencies }: { rotaryWidth: number; rotaryFrequencies: Float64Array },
  positions: Int32Array,
): { cos: FloatValue; sin: FloatValue } {
  const table = (wave: (angle: number) => number) => {
    const value = engine.allocate([positions.length, 1, rotaryWidth]);
    for (const [token, position] of positions.entries()) {
      for (let column = 0; column < rotaryWidth; column++) {
        value.data[token * rotaryWidth + column] = wave(position * frequencies[column]!);
      }
    }
    return value;
  };
  return { cos: table(Math.cos), sin: table(Math.sin) };
}
