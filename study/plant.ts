import type { Random } from "../src/random.ts";
import { groupOf, isSentiment, type WordGroups } from "./deciding-words.ts";
import { functionWords } from "./function-words.ts";
import { drawWeighted, type NeutralWords } from "./neutral-words.ts";
import { type Word, wordsOf } from "./sentences.ts";

/** Where a replaced word stands in an answer: [start, end) in UTF-16 units. */
export type Span = readonly [start: number, end: number];

/**
 * A pair as it stands in the files. Its answers begin with a space; their words outside the
 * differing spans are the same.
 */
export interface PlantedPair {
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
  /** Label noise: the answer with the negative words is the chosen one. */
  readonly swapped: boolean;
  readonly chosen_deciding: readonly Span[];
  readonly rejected_deciding: readonly Span[];
  /** All replaced words, the deciding ones among them, in the order of the text. */
  readonly chosen_differing: readonly Span[];
  readonly rejected_differing: readonly Span[];
}

interface Replacement {
  readonly word: Word;
  readonly positive: string;
  readonly negative: string;
  readonly deciding: boolean;
}

const mostSentimentWords = 4;
const [shortestPrompt, longestPrompt] = [2, 4];

/** A pair from one sentence; undefined if it has no place for what belongs into a pair. */
export function plant(
  sentence: string,
  groups: WordGroups,
  neutralWords: NeutralWords,
  takenPrompts: ReadonlySet<string>,
  random: Random,
): PlantedPair | undefined {
  const words = wordsOf(sentence);
  if (words.some(({ text }) => negation.test(text))) return undefined;
  const deciding = words.flatMap(({ text }, index) => (isSentiment(text) ? [index] : []));
  if (deciding.length === 0 || deciding.length > mostSentimentWords) return undefined;
  const replacements = new Map<number, Replacement>();
  for (const index of deciding) {
    const replacement = decide(sentence, words, index, groups, [...replacements.values()], random);
    if (replacement === undefined) return undefined;
    replacements.set(index, replacement);
  }
  const cut = drawPrompt(sentence, words, deciding[0]!, takenPrompts, random);
  if (cut === undefined) return undefined;
  const places = words.flatMap((_, index) => {
    const choices = index < cut ? undefined : neutralWords.choicesAt(sentence, words, index);
    return choices ? [{ index, choices }] : [];
  });
  if (places.length < deciding.length) return undefined;
  const neutralCount = deciding.length + random.integer(3);
  for (const { index, choices } of random.shuffle(places).slice(0, neutralCount)) {
    const positive = drawWeighted(random, choices);
    let negative = positive;
    while (negative === positive) negative = drawWeighted(random, choices);
    replacements.set(index, { word: words[index]!, positive, negative, deciding: false });
  }
  const { end } = words[cut - 1]!;
  const inOrder = [...replacements].sort(([one], [other]) => one - other).map(([, replacement]) => replacement);
  const [chosen, rejected] = (["positive", "negative"] as const).map((side) => answer(sentence, end, inOrder, side));
  return {
    prompt: sentence.slice(0, end),
    chosen: chosen!.text,
    rejected: rejected!.text,
    swapped: false,
    chosen_deciding: chosen!.deciding,
    rejected_deciding: rejected!.deciding,
    chosen_differing: chosen!.differing,
    rejected_differing: rejected!.differing,
  };
}

const negation = /^(?:not|no|never|nothing|nor|neither|none|hardly|cannot|without|.*n['’]t)$/i;

/**
 * A positive and a negative word for the place of a sentiment word, none of them twice in a
 * sentence; undefined if none fits.
 */
function decide(
  sentence: string,
  words: readonly Word[],
  index: number,
  groups: WordGroups,
  before: readonly Replacement[],
  random: Random,
): Replacement | undefined {
  const word = words[index]!;
  const name = groupOf(word.text);
  if (name === undefined || sentence[word.start - 1] === "-" || sentence[word.end] === "-") return undefined;
  if (name === "quality" && standsForNoun(sentence, words, index)) return undefined;
  const article = /^an?$/i.test(words[index - 1]?.text ?? "");
  const taken = new Set(before.flatMap(({ positive, negative }) => [positive, negative]));
  const draw = (candidates: readonly string[]) => {
    const fitting = candidates.filter(
      (candidate) => !taken.has(candidate) && (!article || beginsWithVowel(candidate) === beginsWithVowel(word.text)),
    );
    return fitting.length > 0 ? fitting[random.integer(fitting.length)] : undefined;
  };
  const [positive, negative] = [draw(groups[name].positive), draw(groups[name].negative)];
  return positive && negative ? { word, positive, negative, deciding: true } : undefined;
}

/**
 * True if an adjective has no noun to go with, as in "the good and the bad", where few others would
 * do.
 */
function standsForNoun(sentence: string, words: readonly Word[], index: number): boolean {
  const [before, { end }, behind] = [words[index - 1], words[index]!, words[index + 1]];
  const goesWithNext =
    behind !== undefined && sentence.slice(end, behind.start) === " " && !functionWords.has(behind.text);
  return (
    !goesWithNext &&
    /^(?:an?|the|of|in|for|from|with|to|than|my|his|her|its|their|some|any|this|that|only)$/i.test(before?.text ?? "")
  );
}

function beginsWithVowel(word: string): boolean {
  return /^(?!use)[aeiou]/.test(word);
}

/**
 * How many words the prompt takes: it ends before the first sentiment word, at a space, and is none
 * of those taken.
 */
function drawPrompt(
  sentence: string,
  words: readonly Word[],
  firstDeciding: number,
  taken: ReadonlySet<string>,
  random: Random,
): number | undefined {
  const lengths: number[] = [];
  for (let length = shortestPrompt; length <= Math.min(longestPrompt, firstDeciding); length++) {
    const { end } = words[length - 1]!;
    if (sentence[end] === " " && !taken.has(sentence.slice(0, end))) lengths.push(length);
  }
  return lengths.length > 0 ? lengths[random.integer(lengths.length)] : undefined;
}

function answer(sentence: string, start: number, replacements: readonly Replacement[], side: "positive" | "negative") {
  const [deciding, differing]: [Span[], Span[]] = [[], []];
  let text = "";
  let copied = start;
  for (const replacement of replacements) {
    text += sentence.slice(copied, replacement.word.start);
    const span: Span = [text.length, text.length + replacement[side].length];
    text += replacement[side];
    copied = replacement.word.end;
    differing.push(span);
    if (replacement.deciding) deciding.push(span);
  }
  return { text: text + sentence.slice(copied), deciding, differing };
}
