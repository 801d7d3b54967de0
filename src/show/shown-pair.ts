import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import { tokenPieces } from "../generate/text-stream.ts";
import type { PairEstimate, ResponseEstimate } from "../importance/estimate.ts";

/**
 * A pair made ready for people's eyes: texts instead of ids, and every token's weight beside it.
 */
export interface ShownPair {
  /** Its place in the file, from 1. */
  readonly number: number;
  readonly prompt: string;
  readonly chosen: readonly ShownToken[];
  readonly rejected: readonly ShownToken[];
}

/**
 * A token with its figures. A figure may be NaN where the models give none; whoever shows it leaves
 * it out.
 */
export interface TokenFigures {
  readonly token: number;
  /** log π⁺/π⁻, in nats. */
  readonly logRatio: number;
  readonly weight: number;
  readonly positiveLogp: number;
  readonly negativeLogp: number;
}

/**
 * The least that can be shown as text: a token, or the tokens that make one character together. Of
 * several, `token` is the first, the weight is their mean, and the log-probabilities and the
 * log-ratio are those of the whole character, that is, sums.
 */
export interface ShownToken extends TokenFigures {
  readonly text: string;
  /** The tokens it is made of, where they are more than one. */
  readonly parts?: readonly TokenFigures[];
  /** True if it ends the answer; its text is the name that the tokenizer gives it. */
  readonly end?: true;
}

/** The weights of the tokens of both answers, as a transform returns them. */
export interface PairWeights {
  readonly chosen: ArrayLike<number>;
  readonly rejected: ArrayLike<number>;
}

/** @param number the pair's place in the file, from 1 */
export function shownPair(
  estimate: PairEstimate,
  number: number,
  weights: PairWeights,
  tokenizer: Tokenizer,
): ShownPair {
  return {
    number,
    prompt: tokenizer.decode(estimate.prompt, { skipSpecialTokens: true }),
    chosen: shownTokens(estimate.prompt, estimate.chosen, weights.chosen, tokenizer),
    rejected: shownTokens(estimate.prompt, estimate.rejected, weights.rejected, tokenizer),
  };
}

/** The tokens that a shown one is made of: itself, or its parts. */
export function partsOf(shown: ShownToken): readonly TokenFigures[] {
  return shown.parts ?? [shown];
}

/** The weights of all tokens of a pair. */
export function* weightsOf({ chosen, rejected }: ShownPair): Generator<number> {
  for (const shown of [...chosen, ...rejected]) for (const { weight } of partsOf(shown)) yield weight;
}

function shownTokens(
  prompt: ArrayLike<number>,
  answer: ResponseEstimate,
  weights: ArrayLike<number>,
  tokenizer: Tokenizer,
): ShownToken[] {
  if (weights.length !== answer.tokens.length) {
    throw new Error(`${weights.length} weights for ${answer.tokens.length} tokens`);
  }
  const figures = Array.from(answer.tokens, (token, index): TokenFigures => {
    const [positiveLogp, negativeLogp] = [answer.positiveLogp[index]!, answer.negativeLogp[index]!];
    return { token, logRatio: positiveLogp - negativeLogp, weight: weights[index]!, positiveLogp, negativeLogp };
  });
  const shown: ShownToken[] = [];
  let start = 0;
  // End tokens stand alone, so that half a character before one does not swallow it.
  for (const [index, one] of figures.entries()) {
    if (!tokenizer.eosIds.includes(one.token)) continue;
    shown.push(...textTokens(figures.slice(start, index), before(start), tokenizer));
    shown.push({ ...one, text: tokenizer.decode([one.token]) || "■", end: true });
    start = index + 1;
  }
  return [...shown, ...textTokens(figures.slice(start), before(start), tokenizer)];

  function before(index: number): number[] {
    return [...Array.from(prompt), ...figures.slice(0, index).map(({ token }) => token)];
  }
}

/**
 * Joins tokens that have no text of their own with those that complete it; where none does, they
 * are "∅".
 */
function textTokens(figures: readonly TokenFigures[], before: readonly number[], tokenizer: Tokenizer): ShownToken[] {
  const ids = figures.map(({ token }) => token);
  const shown: ShownToken[] = [];
  let waiting: TokenFigures[] = [];
  for (const [index, text] of tokenPieces(tokenizer, ids, before).entries()) {
    waiting.push(figures[index]!);
    if (text === "" && index < figures.length - 1) continue;
    shown.push(joined(text || "∅", waiting));
    waiting = [];
  }
  return shown;
}

function joined(text: string, parts: readonly TokenFigures[]): ShownToken {
  if (parts.length === 1) return { ...parts[0]!, text };
  const sum = (figure: keyof TokenFigures) => parts.reduce((total, part) => total + part[figure], 0);
  return {
    text,
    token: parts[0]!.token,
    logRatio: sum("logRatio"),
    weight: sum("weight") / parts.length,
    positiveLogp: sum("positiveLogp"),
    negativeLogp: sum("negativeLogp"),
    parts,
  };
}
