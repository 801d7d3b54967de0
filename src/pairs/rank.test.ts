import { expect, test } from "vitest";
import type { Generation } from "../generate/generate.ts";
import { pairsOf } from "./make-pairs.ts";
import { distinctAnswers, rankPairs, type ScoredPrompt } from "./rank.ts";

function scoredPrompt(...scores: number[]): ScoredPrompt {
  const answers = scores.map((score, index) => ({ text: `answer ${index}`, score }));
  return { prompt: "p", answers, sampled: scores.length + 3, blank: 1, duplicates: 2, cut: 1 };
}

const ranked = (scores: number[], margin: number, pairsPerPrompt: number) =>
  rankPairs(scoredPrompt(...scores), { margin, pairsPerPrompt }).map(({ chosen, rejected }) => [
    Number(chosen.slice(7)),
    Number(rejected.slice(7)),
  ]);

test("the best against the worst, then the second best against the second worst", () => {
  const scores = [2, 9, -4, 5, 3];
  expect(ranked(scores, 0, 1)).toEqual([[1, 2]]);
  expect(ranked(scores, 0, 9)).toEqual([
    [1, 2],
    [3, 0],
  ]);
  expect(rankPairs(scoredPrompt(1, 3), { margin: 2, pairsPerPrompt: 1 })).toEqual([
    { prompt: "p", chosen: "answer 1", rejected: "answer 0", chosen_score: 3, rejected_score: 1 },
  ]);
});

test("a margin is reached when it is met, and equal scores never make a pair", () => {
  expect(ranked([1, 3], 2, 1)).toEqual([[1, 0]]);
  expect(ranked([1, 3], 2.001, 1)).toEqual([]);
  expect(ranked([3, 3, 3], 0, 2)).toEqual([]);
  expect(ranked([0, 10, 4, 6], 5, 2)).toEqual([[1, 0]]);
});

test("one answer or none is no pair", () => {
  expect(ranked([1], 0, 1)).toEqual([]);
  expect(ranked([], 0, 1)).toEqual([]);
});

test("blank and equal answers are left out and counted", () => {
  const generation = (text: string, end: Generation["end"]): Generation => {
    return { prompt: 0, sample: 0, text, tokens: [], meanEntropy: 0, end };
  };
  const generations = [generation("a", "length"), generation(" \n", "length"), generation("b", "end token")];
  expect(distinctAnswers([...generations, generation("a", "end token"), generation("", "end token")])).toEqual({
    texts: ["a", "b"],
    ...{ sampled: 5, blank: 2, duplicates: 1, cut: 2 },
  });
});

test("every prompt and answer is counted once", () => {
  const { pairs, counts } = pairsOf([scoredPrompt(1, 5), scoredPrompt(1), scoredPrompt(2, 2), scoredPrompt(1, 2)], {
    margin: 2,
    pairsPerPrompt: 1,
  });
  expect(pairs).toHaveLength(1);
  expect(counts).toEqual({
    ...{ prompts: 4, answers: 19, blank: 4, duplicates: 8, cut: 4 },
    ...{ withoutChoice: 1, droppedByMargin: 2, pairs: 1 },
  });
});
