import { expect, test } from "vitest";
import { RepeatedPairs } from "./repeated-pairs.ts";

const file = "pairs.jsonl";

test("identical and contradicting pairs are counted, with the first place", () => {
  const pairs = new RepeatedPairs();
  const add = (line: number, prompt: string, chosen: string, rejected: string) =>
    pairs.add({ prompt, chosen, rejected, place: { file, line } });
  add(1, "Q", "a", "b");
  add(2, "Q", "b", "a"); // contradicts 1
  add(3, "Q", "a", "b"); // repeats 1, contradicts 2
  add(4, "Q", "a", "c");
  add(5, "Qa", "", "b"); // the same letters, divided otherwise
  add(6, "R", "a", "b");
  add(7, "R", "a", "b"); // repeats 6
  expect([pairs.repeats.count, pairs.repeats.first]).toEqual([2, { file, line: 3 }]);
  expect([pairs.contradictions.count, pairs.contradictions.first]).toEqual([2, { file, line: 2 }]);
});

test("many different pairs are all different", () => {
  const pairs = new RepeatedPairs();
  for (let line = 1; line <= 20_000; line++)
    pairs.add({ prompt: `Q${line % 100}`, chosen: `a${line}`, rejected: "b", place: { file, line } });
  expect([pairs.repeats.count, pairs.contradictions.count]).toEqual([0, 0]);
});
