import { describe, expect, test } from "vitest";
import { Random } from "../src/random.ts";
import { isSentiment, splitGroups, stemOf, valenceOf } from "./deciding-words.ts";
import type { PlantedPair } from "./plant.ts";
import { decidingWords, plantPairs } from "./planted-pairs.ts";
import { plainSentences, wordsOf } from "./sentences.ts";
import { type GroupName, wordGroups } from "./word-groups.ts";

const things =
  "film story cast script plot scene actor camera dialogue director ending music picture audience studio".split(" ");
const judgements = ["great", "bad", "boring", "excellent", "wonderful", "awful"];

/** Sentences in which every thing stands in every place, under either label. */
function madeUp(opening: string): { text: string; positive: boolean }[] {
  return things.flatMap((one, first) =>
    things.map((other, second) => ({
      text: `${opening} the ${one} of the ${other} was ${judgements[(first + second) % judgements.length]}, and the ${one} is an amazing mess.`,
      positive: (first + second) % 2 === 0,
    })),
  );
}
const sentences = {
  train: [...madeUp("In this case"), ...madeUp("Back then")],
  test: [...madeUp("In the end"), ...madeUp("Back then"), { text: sentenceWithSlip(), positive: true }],
};
const options = { train: 100, test: 50, seed: 1, noise: 0.2 };
const planted = plantPairs(sentences, options);
const pairs = [...planted.train, ...planted.test];

function sentenceWithSlip(): string {
  return "In the end the film of the studio was great, like the plot of the story.";
}

const side = (pair: PlantedPair, name: "chosen" | "rejected") => ({
  text: pair[name],
  deciding: pair[`${name}_deciding`],
  differing: pair[`${name}_differing`],
});
const wordsAt = (text: string, spans: readonly (readonly [number, number])[]) =>
  spans.map(([start, end]) => text.slice(start, end));

describe("the word groups", () => {
  test("hold sentiment words of the right sign, each once", () => {
    const all = Object.values(wordGroups).flatMap(({ positive, negative }) => [...positive, ...negative]);
    expect(new Set(all).size).toBe(all.length);
    for (const { positive, negative } of Object.values(wordGroups)) {
      expect(positive.filter((word) => !((valenceOf(word) ?? 0) >= 2))).toEqual([]);
      expect(negative.filter((word) => !((valenceOf(word) ?? 0) <= -2))).toEqual([]);
    }
  });

  test.each([0, 1, 2])(
    "seed %i: training and test share no word and no stem, and training has over 100 words",
    (seed) => {
      const { train, test } = splitGroups(Random.from(seed, "groups"));
      for (const polarity of ["positive", "negative"] as const) {
        const of = (groups: typeof train) => Object.values(groups).flatMap((group) => group[polarity]);
        const stems = new Set(of(train).map(stemOf));
        expect(of(test).filter((word) => stems.has(stemOf(word)))).toEqual([]);
        const all = (Object.keys(wordGroups) as GroupName[]).flatMap(
          (name) => wordGroups[name][polarity] as readonly string[],
        );
        expect([...of(train), ...of(test)].sort()).toEqual([...all].sort());
        expect(of(train).length / all.length).toBeGreaterThan(0.5);
        expect(of(train).length / all.length).toBeLessThan(0.7);
      }
      const counts = Object.values(train).map(({ positive, negative }) => positive.length + negative.length);
      expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(100);
    },
  );
});

describe("planted pairs", () => {
  test("are as many as asked for, and of good form", () => {
    expect([planted.train.length, planted.test.length]).toEqual([100, 50]);
    for (const { prompt, chosen, rejected } of pairs) {
      expect(prompt).toMatch(/^\S.*\S$/);
      expect(wordsOf(prompt).filter(({ text }) => isSentiment(text))).toEqual([]);
      expect([chosen, rejected]).toEqual([expect.stringMatching(/^ \S.*\.$/), expect.stringMatching(/^ \S.*\.$/)]);
    }
  });

  test("decide by words of the one polarity in the one answer, of the other in the other", () => {
    for (const pair of pairs) {
      const [better, worse] = pair.swapped ? (["rejected", "chosen"] as const) : (["chosen", "rejected"] as const);
      for (const [name, sign] of [
        [better, 1],
        [worse, -1],
      ] as const) {
        const { text, deciding } = side(pair, name);
        expect(wordsAt(text, deciding).map((word) => Math.sign(valenceOf(word)!))).toEqual(deciding.map(() => sign));
        expect(
          wordsOf(text)
            .filter((word) => isSentiment(word.text))
            .map(({ start, end }) => [start, end]),
        ).toEqual(deciding);
      }
    }
  });

  test("differ at the marked words, and nowhere else", () => {
    for (const pair of pairs) {
      const [chosen, rejected] = [side(pair, "chosen"), side(pair, "rejected")];
      const rest = ({ text, differing }: typeof chosen) => {
        const starts = [0, ...differing.map(([, end]) => end)];
        return starts.map((start, index) => text.slice(start, differing[index]?.[0]));
      };
      expect(rest(chosen)).toEqual(rest(rejected));
      expect(wordsOf(pair.chosen).length).toBe(wordsOf(pair.rejected).length);
      const [ours, theirs] = [wordsAt(pair.chosen, chosen.differing), wordsAt(pair.rejected, rejected.differing)];
      expect(ours.filter((word, index) => word === theirs[index])).toEqual([]);
    }
  });

  test("have at least as many neutral as deciding replacements", () => {
    for (const pair of pairs) {
      for (const name of ["chosen", "rejected"] as const) {
        const { text, deciding, differing } = side(pair, name);
        expect(differing).toEqual(expect.arrayContaining([...deciding]));
        const neutral = differing.filter((span) => !deciding.some(([start]) => start === span[0]));
        expect(neutral.length).toBeGreaterThanOrEqual(deciding.length);
        expect(things).toEqual(expect.arrayContaining(wordsAt(text, neutral)));
      }
    }
  });

  test("of the test share no deciding word, no prompt and no sentence with training, and leave no sentiment word in place", () => {
    for (const positive of [true, false]) {
      const seen = decidingWords(planted.train, positive);
      expect(seen.size).toBeGreaterThan(20);
      expect([...decidingWords(planted.test, positive)].filter((word) => seen.has(word))).toEqual([]);
    }
    const prompts = new Set(planted.train.map(({ prompt }) => prompt));
    expect(planted.test.filter(({ prompt }) => prompts.has(prompt))).toEqual([]);
    expect(planted.test.filter(({ chosen }) => chosen.includes("like"))).toEqual([]);
  });

  test("keep the articles right", () => {
    for (const { chosen, rejected } of pairs) {
      for (const text of [chosen, rejected]) expect(text).toMatch(/ an [aeiou]/);
    }
  });

  test("are swapped in the share of training pairs asked for, and never in the test", () => {
    expect(planted.train.filter((pair) => pair.swapped).length).toBe(20);
    expect(planted.test.filter((pair) => pair.swapped)).toEqual([]);
    const plain = plantPairs(sentences, { ...options, noise: 0 });
    for (const [index, pair] of planted.train.entries()) {
      const same = plain.train[index]!;
      expect([pair.chosen, pair.chosen_differing]).toEqual(
        pair.swapped ? [same.rejected, same.rejected_differing] : [same.chosen, same.chosen_differing],
      );
    }
  });

  test("depend on the seed alone", () => {
    expect(plantPairs(sentences, options)).toEqual(planted);
    expect(plantPairs(sentences, { ...options, seed: 2 }).train).not.toEqual(planted.train);
  });

  test("are refused where the sentences are too few, the noise is no share or a count no count", () => {
    expect(() => plantPairs(sentences, { ...options, test: 5000 })).toThrow(
      /sentences for test give \d+ pairs, not 5000/,
    );
    expect(() => plantPairs(sentences, { ...options, noise: 10 })).toThrow(/noise.*from 0 to 1/);
    expect(() => plantPairs(sentences, { ...options, train: Number.NaN })).toThrow(/train.*whole number/);
  });
});

test("sentences of a review: whole and plain ones, without markup", () => {
  const review =
    'I liked this film a great deal.<br /><br />Too short. It was made in 1999 by a studio. The "plot" is not one at all. ' +
    "Nothing here,really nothing is as it seems. And so it goes on and on...";
  expect(plainSentences(review)).toEqual(["I liked this film a great deal."]);
});
