/**
 * How well scores of tokens find the tokens that decide, and what a count of words alone would
 * find.
 */
import type { PlantedPair, Span } from "./plant.ts";
import { wordsOf } from "./sentences.ts";

export type Side = "chosen" | "rejected";

/**
 * The chance that a token with a label scores above one without, ties counting one half (Mann and
 * Whitney).
 *
 * @throws RangeError if one of the two classes is empty, or a score is not a number: the area is
 * then not defined.
 */
export function areaUnderCurve(scores: readonly number[], labels: readonly boolean[]): number {
  if (scores.length !== labels.length) throw new RangeError(`${scores.length} scores, but ${labels.length} labels`);
  if (scores.some(Number.isNaN)) throw new RangeError("a score is not a number");
  const positives = labels.filter(Boolean).length;
  const negatives = labels.length - positives;
  if (positives === 0 || negatives === 0) throw new RangeError("an area needs tokens with and without the label");
  const order = scores
    .map((_, index) => index)
    .sort((one, other) => Number(scores[one]! > scores[other]!) - Number(scores[one]! < scores[other]!));
  let wins = 0;
  let negativesBelow = 0;
  for (let first = 0; first < order.length; ) {
    const score = scores[order[first]!]!;
    const tied = [0, 0];
    for (; first < order.length && scores[order[first]!] === score; first++) tied[labels[order[first]!] ? 1 : 0]!++;
    wins += tied[1]! * (negativesBelow + tied[0]! / 2);
    negativesBelow += tied[0]!;
  }
  return wins / (positives * negatives);
}

/**
 * Scores by which the tokens of a side are ranked: what speaks for an answer decides on the chosen
 * side, what speaks against it on the rejected one.
 */
export function rankingScores(logRatios: ArrayLike<number>, side: Side): number[] {
  return Array.from(logRatios, (ratio) => (side === "chosen" ? ratio : 0 - ratio));
}

/**
 * For each token of an answer whether it shares a character other than a space with a span.
 *
 * @param pieces The texts of the tokens, the answer when put together; of a truncated answer its
 * beginning.
 */
export function tokenMask(pieces: readonly string[], spans: readonly Span[]): boolean[] {
  return solidRanges(pieces).map((range) => spans.some((span) => overlap(range, span)));
}

/**
 * The score of a word by how often the chosen and the rejected answers of training have it; what
 * needs no model.
 */
export class WordFrequencyBaseline {
  readonly #counts = new Map<string, Record<Side, number>>();
  readonly #totals = { chosen: 0, rejected: 0 };

  constructor(pairs: readonly Pick<PlantedPair, Side>[]) {
    for (const pair of pairs) {
      for (const side of ["chosen", "rejected"] as const) {
        for (const { text } of wordsOf(pair[side])) {
          const word = text.toLowerCase();
          const count = this.#counts.get(word) ?? { chosen: 0, rejected: 0 };
          count[side]++;
          this.#totals[side]++;
          this.#counts.set(word, count);
        }
      }
    }
  }

  /**
   * Log of the word's share of all chosen words over its share of all rejected ones, each count one
   * more; 0 for a word never seen.
   */
  scoreOf(word: string): number {
    const count = this.#counts.get(word.toLowerCase());
    if (count === undefined) return 0;
    const share = (side: Side) => (count[side] + 1) / (this.#totals[side] + this.#counts.size);
    return Math.log(share("chosen") / share("rejected"));
  }

  /**
   * The score of each token of an answer, in place of its log-ratio: that of the first word it
   * shares a character with, else 0.
   */
  tokenScores(pieces: readonly string[]): number[] {
    const words = wordsOf(pieces.join(""));
    return solidRanges(pieces).map((range) => {
      const word = words.find(({ start, end }) => overlap(range, [start, end]));
      return word === undefined ? 0 : this.scoreOf(word.text);
    });
  }
}

/** Mean and sample standard deviation over seeds; one value has no spread. */
export function meanAndSpread(values: readonly number[]): { mean: number; spread: number | undefined } {
  if (values.length === 0) throw new RangeError("no values have no mean");
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length === 1) return { mean, spread: undefined };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, spread: Math.sqrt(squares / (values.length - 1)) };
}

/** `0.812 ± 0.010`. */
export function formatMean(values: readonly number[], digits = 3): string {
  const { mean, spread } = meanAndSpread(values);
  return spread === undefined ? mean.toFixed(digits) : `${mean.toFixed(digits)} ± ${spread.toFixed(digits)}`;
}

/**
 * A Markdown table, its columns aligned for reading as plain text: the first to the left, the
 * others to the right.
 */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((_, column) => Math.max(3, ...[header, ...rows].map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join(" | ")} |`;
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(header), line(rule), ...rows.map(line)].join("\n");
}

/**
 * Where each piece stands in the whole, without the white space at its ends; start and end are the
 * same if there is nothing else.
 */
function solidRanges(pieces: readonly string[]): Span[] {
  let offset = 0;
  return pieces.map((piece) => {
    const start = offset + piece.length - piece.trimStart().length;
    const end = Math.max(start, offset + piece.trimEnd().length);
    offset += piece.length;
    return [start, end];
  });
}

function overlap(one: Span, other: Span): boolean {
  return Math.max(one[0], other[0]) < Math.min(one[1], other[1]);
}
