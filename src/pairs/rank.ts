import type { Generation } from "../generate/generate.ts";

/** The parts of an answer that are kept. */
export interface ScoredAnswer {
  readonly text: string;
  readonly score: number;
}

/** A prompt with its different answers, in the order in which they were sampled. */
export interface ScoredPrompt {
  readonly prompt: string;
  readonly answers: readonly ScoredAnswer[];
  /**
   * Answers that were sampled, and those of them left out because they are blank or equal to an
   * earlier one.
   */
  readonly sampled: number;
  readonly blank: number;
  readonly duplicates: number;
  /** Answers, left out or not, that were cut at the limit of tokens. */
  readonly cut: number;
}

/** A line of the output, as training reads it. */
export interface RankedPair {
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
  readonly chosen_score: number;
  readonly rejected_score: number;
}

export interface RankOptions {
  /** The least difference of two scores. Equal scores make no pair even at 0. */
  readonly margin: number;
  /** The best against the worst, the second best against the second worst, and so on. */
  readonly pairsPerPrompt: number;
}

/** The different answers of one prompt that are not blank. */
export function distinctAnswers(generations: readonly Generation[]) {
  const texts = generations.map(({ text }) => text).filter((text) => text.trim() !== "");
  const distinct = [...new Set(texts)];
  return {
    texts: distinct,
    sampled: generations.length,
    blank: generations.length - texts.length,
    duplicates: texts.length - distinct.length,
    cut: generations.filter(({ end }) => end === "length").length,
  };
}

/**
 * The pairs of a prompt, those with the largest difference first. Of equal scores, the earlier
 * answer is the better one.
 */
export function rankPairs({ prompt, answers }: ScoredPrompt, { margin, pairsPerPrompt }: RankOptions): RankedPair[] {
  const order = answers.toSorted((a, b) => b.score - a.score);
  const pairs: RankedPair[] = [];
  for (let index = 0; index < Math.min(pairsPerPrompt, order.length >> 1); index++) {
    const [best, worst] = [order[index]!, order[order.length - 1 - index]!];
    const difference = best.score - worst.score;
    if (difference < margin || difference === 0) break;
    const [chosen_score, rejected_score] = [best.score, worst.score];
    pairs.push({ prompt, chosen: best.text, rejected: worst.text, chosen_score, rejected_score });
  }
  return pairs;
}
