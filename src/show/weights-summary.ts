import { type HeatScale, heat, heatScale } from "./heat-scale.ts";
import { meanOf, type PageAnswer, type PageData, type Unit } from "./page-data.ts";

/** Figures over all pairs. */
export interface WeightsSummary {
  readonly scale: HeatScale;
  readonly chosen: SideSummary;
  readonly rejected: SideSummary;
}

/** All chosen answers, or all rejected ones. */
export interface SideSummary {
  readonly tokens: number;
  /** NaN if there are no tokens. */
  readonly mean: number;
  /** Shares of the tokens by the heat of their weights, from -1 to 1 in even steps. */
  readonly bins: readonly number[];
  /**
   * Units that occur often enough, by their mean weight: the most above, and the least below. None
   * is in both.
   */
  readonly highest: readonly UnitMean[];
  readonly lowest: readonly UnitMean[];
}

export interface UnitMean extends Unit {
  readonly count: number;
  readonly mean: number;
}

/** An odd number, so that weight 1 is the middle of a bin. */
const binCount = 31;

/** A mean over fewer occurrences than this is not told. */
const leastCount = 3;

const listed = 10;

export function summarize({ units, pairs }: PageData): WeightsSummary {
  const chosen = pairs.map((pair) => pair.chosen);
  const rejected = pairs.map((pair) => pair.rejected);
  const scale = heatScale([...chosen, ...rejected].flatMap(weightsOf));
  return { scale, chosen: summarizeSide(chosen, units, scale), rejected: summarizeSide(rejected, units, scale) };
}

function summarizeSide(answers: readonly PageAnswer[], units: readonly Unit[], scale: HeatScale): SideSummary {
  const weights = answers.flatMap(weightsOf);
  const known = weights.filter(Number.isFinite);
  const bins = new Array<number>(binCount).fill(0);
  for (const weight of known) {
    const bin = Math.min(binCount - 1, Math.floor(((heat(weight, scale) + 1) / 2) * binCount));
    bins[bin]! += 1 / known.length;
  }
  const means = unitMeans(answers, units);
  const half = means.length / 2;
  return {
    tokens: weights.length,
    mean: meanOf(weights),
    bins,
    highest: means.slice(0, Math.min(listed, Math.ceil(half))),
    lowest: means.reverse().slice(0, Math.min(listed, Math.floor(half))),
  };
}

/** Of units that occur often enough, the highest mean first; of equal means, the more frequent. */
function unitMeans(answers: readonly PageAnswer[], units: readonly Unit[]): UnitMean[] {
  const sums = units.map(() => ({ count: 0, sum: 0 }));
  for (const answer of answers) {
    const weights = weightsOf(answer);
    let start = 0;
    for (const place of answer.units) {
      const end = start + units[place]!.tokens.length;
      const weight = meanOf(weights.slice(start, end));
      start = end;
      if (Number.isNaN(weight)) continue;
      sums[place]!.count++;
      sums[place]!.sum += weight;
    }
  }
  return units
    .map((unit, place) => ({ ...unit, count: sums[place]!.count, mean: sums[place]!.sum / sums[place]!.count }))
    .filter(({ count }) => count >= leastCount)
    .sort((a, b) => b.mean - a.mean || b.count - a.count);
}

function weightsOf({ weights }: PageAnswer): number[] {
  return weights.map((weight) => (weight === null ? Number.NaN : weight / 1000));
}
