import { partsOf, type ShownPair, type ShownToken, type TokenFigures } from "./shown-pair.ts";

/**
 * The pairs as the page holds them, small enough for thousands of them: texts once, and figures as
 * whole thousandths.
 */
export interface PageData {
  readonly units: readonly Unit[];
  readonly pairs: readonly PagePair[];
}

/** A piece of text that is shown alike wherever it occurs. */
export interface Unit {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly end?: true;
}

export interface PagePair {
  readonly number: number;
  readonly prompt: string;
  /**
   * The figures that pairs are sorted by: the standard deviation of the weights of both answers,
   * and their mean |log-ratio|.
   */
  readonly spread: Thousandths;
  readonly ratio: Thousandths;
  readonly chosen: PageAnswer;
  readonly rejected: PageAnswer;
}

/** The figures have an entry for each token, so as many for a unit as it has tokens. */
export interface PageAnswer {
  /** Places in `PageData.units`. */
  readonly units: readonly number[];
  readonly weights: readonly Thousandths[];
  readonly positive: readonly Thousandths[];
  readonly negative: readonly Thousandths[];
}

/** A figure times 1000, rounded; null where there is none. */
export type Thousandths = number | null;

export function pageData(pairs: Iterable<ShownPair>): PageData {
  const places = new Map<string, number>();
  const units: Unit[] = [];
  const placeOf = (shown: ShownToken): number => {
    const tokens = partsOf(shown).map(({ token }) => token);
    const key = `${tokens.join()} ${shown.text}`;
    const known = places.get(key);
    if (known !== undefined) return known;
    places.set(key, units.length);
    return units.push({ text: shown.text, tokens, ...(shown.end && { end: true }) }) - 1;
  };
  const answer = (tokens: readonly ShownToken[]): PageAnswer => {
    const all = tokens.flatMap(partsOf);
    return {
      units: tokens.map(placeOf),
      weights: all.map(({ weight }) => thousandths(weight)),
      positive: all.map(({ positiveLogp }) => thousandths(positiveLogp)),
      negative: all.map(({ negativeLogp }) => thousandths(negativeLogp)),
    };
  };
  const rows = Array.from(pairs, ({ number, prompt, chosen, rejected }): PagePair => {
    const all = [...chosen, ...rejected].flatMap(partsOf);
    const [spread, ratio] = [deviation(all), meanOf(all.map(({ logRatio }) => Math.abs(logRatio)))].map(thousandths);
    return { number, prompt, spread: spread!, ratio: ratio!, chosen: answer(chosen), rejected: answer(rejected) };
  });
  return { units, pairs: rows };
}

/** The mean of those figures that are numbers; NaN if none is. */
export function meanOf(figures: readonly number[]): number {
  const finite = figures.filter(Number.isFinite);
  return finite.reduce((total, figure) => total + figure, 0) / finite.length;
}

function deviation(tokens: readonly TokenFigures[]): number {
  const weights = tokens.map(({ weight }) => weight);
  const mean = meanOf(weights);
  return Math.sqrt(meanOf(weights.map((weight) => (weight - mean) ** 2)));
}

function thousandths(figure: number): Thousandths {
  return Number.isFinite(figure) ? Math.round(figure * 1000) : null;
}
