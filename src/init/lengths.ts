import type { TokenizedExample } from "../data/example.ts";

/** The spread of lengths, in tokens. */
export interface Spread {
  readonly median: number;
  readonly percentile95: number;
  readonly longest: number;
}

/** A measure of how well length alone tells the chosen answers from the rejected ones. */
export interface LengthBias {
  /** Mean tokens of an answer, EOS included. */
  readonly chosen: number;
  readonly rejected: number;
  /** Share of the pairs whose chosen answer is the longer one; equal lengths count one half. */
  readonly chosenLonger: number;
  /** True if that is far from one half, and by more than chance would explain. */
  readonly systematic: boolean;
}

/** Summarises lengths; all zero where there are none. */
export function spreadOf(lengths: readonly number[]): Spread {
  const sorted = Float64Array.from(lengths).sort();
  const at = (share: number) => percentile(sorted, share);
  return { median: at(0.5), percentile95: at(0.95), longest: at(1) };
}

/** The least of the sorted numbers that a share of them does not exceed. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

/** The length that `maxLength` limits: the prompt and the longest response together. */
export function limitedLength({ prompt, responses }: TokenizedExample): number {
  return prompt.length + Math.max(...responses.map(({ length }) => length));
}

/** A share this far from one half is worth a word. */
const notableShare = 0.1;
/** Standard deviations from what chance gives. */
const notableDeviations = 3;

/** Compares the answers of pairs; undefined for examples with one response. */
export function lengthBias(pairs: readonly TokenizedExample[]): LengthBias | undefined {
  if (pairs.length === 0 || pairs.some(({ responses }) => responses.length < 2)) return undefined;
  const lengths = pairs.map(({ responses: [chosen, rejected] }) => [chosen!.length, rejected!.length] as const);
  const mean = (side: 0 | 1) => lengths.reduce((sum, pair) => sum + pair[side], 0) / pairs.length;
  const longer = lengths.filter(([chosen, rejected]) => chosen > rejected).length;
  const shorter = lengths.filter(([chosen, rejected]) => chosen < rejected).length;
  const chosenLonger = 0.5 + (longer - shorter) / (2 * pairs.length);
  // The sign test: by chance, either side is longer like a coin falls.
  const deviations = Math.abs(longer - shorter) / Math.sqrt(Math.max(1, longer + shorter));
  const systematic = Math.abs(chosenLonger - 0.5) >= notableShare && deviations >= notableDeviations;
  return { chosen: mean(0), rejected: mean(1), chosenLonger, systematic };
}
