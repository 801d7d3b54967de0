import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { Random } from "../random.ts";
import { countSharedPrompts, promptKey, splitByPrompt } from "./split.ts";

/** `count` pairs over `prompts` different prompts. */
const makePairs = (count: number, prompts: number) =>
  Array.from({ length: count }, (_, index) => ({
    prompt: `p${index % prompts}`,
    chosen: `c${index}`,
    rejected: `r${index}`,
  }));

describe("splitByPrompt", () => {
  test("every pair is on one side, no prompt on both, and the count is met with at most one prompt too many", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 20, max: 200 }),
        fc.integer({ min: 10, max: 30 }),
        fc.nat(),
        fc.integer({ min: 1, max: 5 }),
        (count, prompts, seed, heldOut) => {
          const pairs = makePairs(count, prompts);
          const split = splitByPrompt(pairs, { heldOut, seed });
          expect(new Set([...split.train, ...split.heldOut])).toEqual(new Set(pairs));
          expect(split.train.length + split.heldOut.length).toBe(count);
          expect(countSharedPrompts(split.train, split.heldOut, promptKey)).toBe(0);
          expect(split.heldOut.length).toBeGreaterThanOrEqual(heldOut);
          expect(split.heldOut.length).toBeLessThan(heldOut + Math.ceil(count / prompts));
        },
      ),
    );
  });

  test("depends on the seed, not on the order of the pairs", () => {
    const pairs = makePairs(100, 100);
    const names = (heldOut: readonly { prompt: string }[]) => heldOut.map(({ prompt }) => prompt).sort();
    const split = names(splitByPrompt(pairs, { heldOut: 0.2, seed: 1 }).heldOut);
    const shuffled = Random.from(9).shuffle([...pairs]);
    expect(split).toHaveLength(20);
    expect(names(splitByPrompt(shuffled, { heldOut: 20, seed: 1 }).heldOut)).toEqual(split);
    expect(names(splitByPrompt(pairs, { heldOut: 20, seed: 2 }).heldOut)).not.toEqual(split);
    // A seed beyond 32 bits is another seed.
    expect(names(splitByPrompt(pairs, { heldOut: 20, seed: 1 + 2 ** 32 }).heldOut)).not.toEqual(split);
  });

  test("prompts that differ in the white space around them stay together; empty prompts are told apart by their answers", () => {
    const spaced = makePairs(40, 40).flatMap((pair) => [pair, { ...pair, prompt: ` ${pair.prompt}\n` }]);
    const { train, heldOut } = splitByPrompt(spaced, { heldOut: 20, seed: 3 });
    expect(heldOut).toHaveLength(20);
    expect(countSharedPrompts(train, heldOut, promptKey)).toBe(0);
    const unprompted = makePairs(10, 10).map((pair) => ({ ...pair, prompt: "" }));
    expect(splitByPrompt(unprompted, { heldOut: 3, seed: 1 }).heldOut).toHaveLength(3);
  });

  test("a small share holds out one pair at least, and none is held out on request", () => {
    expect(splitByPrompt(makePairs(10, 10), { heldOut: 0.001, seed: 1 }).heldOut).toHaveLength(1);
    expect(splitByPrompt(makePairs(10, 10), { heldOut: 0, seed: 1 }).heldOut).toHaveLength(0);
  });

  test.each([10, 11, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    "holding out %d of 10 pairs is refused",
    (heldOut) => {
      expect(() => splitByPrompt(makePairs(10, 10), { heldOut, seed: 1 })).toThrow(UserError);
    },
  );

  test("one prompt for all pairs cannot be split", () => {
    expect(() => splitByPrompt(makePairs(10, 1), { heldOut: 1, seed: 1 })).toThrow(
      /heldOut: .*1 different prompt\).*none to train on/,
    );
  });
});

test("countSharedPrompts counts the held-out pairs whose prompt is trained on", () => {
  const [train, other] = [makePairs(6, 3), makePairs(8, 4)];
  expect(countSharedPrompts(train, other, promptKey)).toBe(6);
  expect(countSharedPrompts(train, [], promptKey)).toBe(0);
});
