import type { Random } from "../src/random.ts";
import { valenceOf } from "./deciding-words.ts";
import { functionWords, hintOf } from "./function-words.ts";
import { type Word, wordsOf } from "./sentences.ts";

/** A sentence of a review that was positive or negative as a whole. */
export interface LabelledSentence {
  readonly text: string;
  readonly positive: boolean;
}

export interface NeutralWordOptions {
  /** How often a word must occur. Default: 20. */
  readonly fewest?: number | undefined;
  /** How many different words must fit a place for it to be refilled. Default: 10. */
  readonly fewestChoices?: number | undefined;
}

/** A word and how often it was seen. */
export type Choice = readonly [word: string, count: number];

interface ContentWord {
  positive: number;
  negative: number;
  readonly hints: { noun: number; verb: number; modifier: number };
}

const [mostImbalance, fewestInPlace] = [1.5, 2];

/**
 * The words that say what is spoken of but not whether it is good, by the places of a sentence into
 * which they fit.
 *
 * Neutral is what AFINN-165 does not rate, is no function word, and is about as frequent in
 * positive as in negative reviews: a lexicon misses words such as "mediocre", and these would be
 * truth that is not marked.
 */
export class NeutralWords {
  readonly #fewestChoices: number;
  readonly #content = new Map<string, ContentWord>();
  /** Counts of neutral words by place; see `#placeOf`. */
  readonly #places = new Map<string, Map<string, number>>();

  constructor(sentences: readonly LabelledSentence[], { fewest = 20, fewestChoices = 10 }: NeutralWordOptions = {}) {
    this.#fewestChoices = Math.max(2, fewestChoices); // two sides that differ need two words
    const parsed = sentences.map(({ text, positive }) => ({ text, positive, words: wordsOf(text) }));
    const totals = { positive: 0, negative: 0 };
    for (const { words, positive } of parsed) {
      for (const [index, { text }] of words.entries()) {
        if (!isContent(text)) continue;
        const content = this.#content.get(text) ?? {
          positive: 0,
          negative: 0,
          hints: { noun: 0, verb: 0, modifier: 0 },
        };
        this.#content.set(text, content);
        const label = positive ? "positive" : "negative";
        content[label]++;
        totals[label]++;
        const behind = words[index + 1];
        const hint = hintOf(functionWord(words[index - 1]) ?? "", behind !== undefined && isContent(behind.text));
        if (hint) content.hints[hint]++;
      }
    }
    const share = (count: number, total: number) => (count + 1) / (total + 1);
    const isNeutral = ({ positive, negative }: ContentWord) =>
      positive + negative >= fewest &&
      Math.abs(Math.log(share(positive, totals.positive) / share(negative, totals.negative))) <=
        Math.log(mostImbalance);
    for (const { text, words } of parsed) {
      for (const [index, { text: word }] of words.entries()) {
        const content = this.#content.get(word);
        const place = content && isNeutral(content) ? this.#placeOf(text, words, index) : undefined;
        if (place === undefined) continue;
        const choices = this.#places.get(place) ?? new Map<string, number>();
        choices.set(word, (choices.get(word) ?? 0) + 1);
        this.#places.set(place, choices);
      }
    }
  }

  /**
   * What else was seen in the place of a word; undefined for a word, or a place, that is not to be
   * refilled.
   */
  choicesAt(text: string, words: readonly Word[], index: number): Choice[] | undefined {
    const place = this.#placeOf(text, words, index);
    if (place === undefined) return undefined;
    const choices = [...(this.#places.get(place) ?? [])].filter(
      ([word, count]) => word !== words[index]!.text && count >= fewestInPlace,
    );
    return choices.length >= this.#fewestChoices ? choices : undefined;
  }

  /**
   * The neighbours of a word, its part of speech by most hints, and its ending. Only function words
   * and punctuation may be neighbours, since they tell parts of speech apart; so no deciding word,
   * which differs between the sides, ever stands beside a neutral one.
   */
  #placeOf(text: string, words: readonly Word[], index: number): string | undefined {
    const word = words[index]!;
    const { noun, verb, modifier } = this.#content.get(word.text)?.hints ?? { noun: 0, verb: 0, modifier: 0 };
    const most = Math.max(noun, verb, modifier);
    if (most === 0) return undefined;
    const part = most === noun ? "noun" : most === verb ? "verb" : "modifier";
    const before = neighbour(words[index - 1], text.slice(words[index - 1]?.end ?? 0, word.start));
    const behind = neighbour(words[index + 1], text.slice(word.end, words[index + 1]?.start ?? text.length));
    return before && behind ? `${before} [${part} ${endingOf(word.text)}] ${behind}` : undefined;
  }
}

/** Draws a word, each as likely as it is frequent. */
export function drawWeighted(random: Random, choices: readonly Choice[]): string {
  let rest = random.next() * choices.reduce((sum, [, count]) => sum + count, 0);
  for (const [word, count] of choices) {
    rest -= count;
    if (rest < 0) return word;
  }
  return choices.at(-1)![0];
}

/**
 * True if a word has a meaning of its own and no sentiment; names are left out with all capitals.
 */
export function isContent(word: string): boolean {
  return /^[a-z]{3,}$/.test(word) && !functionWords.has(word) && valenceOf(word) === undefined;
}

function functionWord(word: Word | undefined): string | undefined {
  const text = word?.text.toLowerCase().replace("’", "'");
  return text !== undefined && functionWords.has(text) ? text : undefined;
}

function neighbour(word: Word | undefined, between: string): string | undefined {
  const mark = between.trim();
  if (mark !== "") return /^[,;:.!?]$/.test(mark) ? mark : undefined;
  return functionWord(word);
}

function endingOf(word: string): string {
  return /(?:ing|ed|ly|[^s]s)$/.exec(word)?.[0].replace(/^[^s]s$/, "s") ?? "";
}
