import type { Random } from "../random.ts";

/**
 * The transforms of log-ratios to weights, told apart by `name`. See `createTransform` for the
 * formulas.
 */
export type TransformOptions =
  | { name: "exp-clamp"; k: number; mu: number; lower: number; upper: number }
  | { name: "magnitude"; mu: number; limit: number }
  | { name: "raw" }
  | { name: "binary"; share: number }
  | { name: "threshold"; lower: number; upper: number }
  | { name: "threshold-and-scale"; lower: number; upper: number; least: number; most: number }
  | { name: "rank"; least: number; most: number }
  | { name: "random"; least: number; most: number }
  | { name: "ones" };

/** TIS-DPO's own, with the bounds as they are recalled: the published code has no such formula. */
export const defaultTransform = {
  name: "exp-clamp",
  k: 1,
  mu: 1,
  lower: -0.5,
  upper: 1.5,
} as const satisfies TransformOptions;

/** The name of a response's side: its sign is + for chosen and - for rejected. */
export type Side = "chosen" | "rejected";

/**
 * Weights of a response's tokens from their log-ratios log π⁺ - log π⁻.
 *
 * @param random for the transform `random` only
 */
export type Transform = (logRatios: Float64Array, side: Side, random: Random) => Float64Array;

/**
 * Makes the transform that the options name. With s = +1 for chosen and -1 for rejected answers,
 * and r the log-ratio of a token:
 *
 * - `exp-clamp`, TIS-DPO's own (Liu et al. 2025, arXiv 2410.04350): `k exp(s μ clamp(r, L, U))`;
 * - `magnitude`, ours: `exp(μ min(|r|, limit))`, divided by its mean over the response. Where π⁺
 *   and π⁻ disagree, whoever is right, tokens count more. Unlike the paper's, such weights are the
 *   same for a token on either side, so that moving along π⁺/π⁻ as a whole gains nothing;
 *
 * and the transforms that the published code offers instead, on `s r`:
 *
 * - `raw`: `s r` itself, so that weights may be negative;
 * - `binary`: 1 for the highest `share` of the tokens, at least one, and all that equal the least
 *   of them; otherwise 0;
 * - `threshold`: `clamp(s r, L, U)`;
 * - `threshold-and-scale`: the same, then linear from [L, U] to [least, most];
 * - `rank`: from `least` to `most` in even steps by rank, equal values sharing the mean of their
 *   ranks; the middle for a single token;
 * - `random`: uniform between `least` and `most`, for comparison;
 * - `ones`: 1, for comparison.
 */
export function createTransform(options: TransformOptions): Transform {
  switch (options.name) {
    case "exp-clamp": {
      const { k, mu, lower, upper } = options;
      return (ratios, side) => ratios.map((ratio) => k * Math.exp(sign(side) * mu * clamp(ratio, lower, upper)));
    }
    case "magnitude":
      return (ratios) => {
        const weights = ratios.map((ratio) => Math.exp(options.mu * Math.min(Math.abs(ratio), options.limit)));
        const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
        return weights.map((weight) => weight / mean);
      };
    case "raw":
      return signed;
    case "binary":
      return (ratios, side) => highest(signed(ratios, side), options.share);
    case "threshold":
      return (ratios, side) => signed(ratios, side).map((value) => clamp(value, options.lower, options.upper));
    case "threshold-and-scale": {
      const { lower, upper, least, most } = options;
      const scale = (value: number) =>
        least + ((clamp(value, lower, upper) - lower) / (upper - lower)) * (most - least);
      return (ratios, side) => signed(ratios, side).map(scale);
    }
    case "rank":
      return (ratios, side) => ranked(signed(ratios, side), options);
    case "random":
      return (ratios, _, random) => ratios.map(() => options.least + random.next() * (options.most - options.least));
    case "ones":
      return (ratios) => ratios.map(() => 1);
  }
}

function sign(side: Side): number {
  return side === "chosen" ? 1 : -1;
}

function signed(ratios: Float64Array, side: Side): Float64Array {
  return side === "chosen" ? ratios.slice() : ratios.map((ratio) => -ratio);
}

function clamp(value: number, lower: number, upper: number): number {
  return Math.min(Math.max(value, lower), upper);
}

function highest(values: Float64Array, share: number): Float64Array {
  const count = Math.max(1, Math.floor(values.length * share));
  const least = values.toSorted().at(-count)!;
  return values.map((value) => Number(value >= least));
}

function ranked(values: Float64Array, { least, most }: { least: number; most: number }): Float64Array {
  const last = values.length - 1;
  if (last === 0) return Float64Array.of((least + most) / 2);
  const sorted = values.toSorted();
  return values.map((value) => {
    const rank = (sorted.indexOf(value) + sorted.lastIndexOf(value)) / 2;
    return least + (rank / last) * (most - least);
  });
}
