/**
 * The depth of colour that a weight gets. Heat runs from -1, the deepest blue, over 0, which is
 * weight 1 and has no colour, to 1, the deepest orange. It is even in the logarithm of the weight,
 * for which twice as much and half as much are equally far from 1.
 */
export interface HeatScale {
  /** The weight of heat 1. Weights beyond it get the same colour. */
  readonly most: number;
  /** True if heat is even in the weight itself, for weights that may be negative. */
  readonly linear: boolean;
}

/**
 * The weights of heat 1 to choose from; the default transform's largest weight, e^1.5, is just
 * below 4.5.
 */
const mosts = [1.25, 1.5, 2, 3, 4.5, 10, 30, 100];

/**
 * Of all weights, this share lies within the scale; a few extreme ones shall not make all others
 * pale.
 */
const covered = 0.99;

/** The heat of a weight; 0 for NaN. */
export function heat(weight: number, { most, linear }: HeatScale): number {
  if (Number.isNaN(weight)) return 0;
  const value = linear ? (weight - 1) / (most - 1) : Math.log(Math.max(weight, 0)) / Math.log(most);
  return Math.min(1, Math.max(-1, value));
}

/** The weight that has a heat. */
export function weightAt(heat: number, { most, linear }: HeatScale): number {
  return linear ? 1 + heat * (most - 1) : most ** heat;
}

/**
 * The places at which a legend or an axis names weights. The labels of both ends say that they
 * stand for all beyond, too.
 */
export function scaleTicks(scale: HeatScale): { heat: number; label: string }[] {
  return [-1, -0.5, 0, 0.5, 1].map((heat) => {
    const weight = String(Number(weightAt(heat, scale).toPrecision(2))).replace("-", "−");
    return { heat, label: Math.abs(heat) < 1 ? weight : `${heat < 0 ? "≤" : "≥"} ${weight}` };
  });
}

/** The narrowest scale that does justice to the weights. */
export function heatScale(weights: Iterable<number>): HeatScale {
  const finite = [...weights].filter(Number.isFinite);
  const linear = finite.some((weight) => weight < 0);
  const reach = (weight: number) => Math.abs(linear ? weight - 1 : Math.log(weight));
  const reaches = Float64Array.from(
    finite.filter((weight) => linear || weight > 0),
    reach,
  ).sort();
  const needed = reaches[Math.ceil(covered * reaches.length) - 1] ?? 0;
  return { most: mosts.find((most) => reach(most) >= needed) ?? mosts.at(-1)!, linear };
}
