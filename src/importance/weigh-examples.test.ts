import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../test/helpers/runs.ts";
import { example } from "../../test/helpers/tiny.ts";
import type { TokenizedExample } from "../data/example.ts";
import type { PairEstimate } from "./estimate.ts";
import { responseEstimate, writeEstimates } from "./testing/estimates.ts";
import type { TransformOptions } from "./transforms.ts";
import { weighExamples } from "./weigh-examples.ts";

let file: string;

beforeEach(async () => {
  file = join(await temporaryFolder(), "estimates.safetensors");
});

const raw = { name: "raw" } as const;
const random = { name: "random", least: 0, most: 1 } as const;

/** The log-ratios of chosen and rejected tokens. */
function estimate(one: TokenizedExample, chosen: number[], rejected: number[]): PairEstimate {
  const [good, bad] = one.responses;
  return { prompt: one.prompt, chosen: responseEstimate(good!, chosen), rejected: responseEstimate(bad!, rejected) };
}

async function weigh(
  examples: readonly TokenizedExample[],
  pairs: readonly PairEstimate[],
  { transform = raw, seed = 0 }: { transform?: TransformOptions; seed?: number } = {},
) {
  const weighed = await weighExamples(examples, await writeEstimates(file, pairs), { transform, seed });
  return weighed.map(({ given }) => given!.weight!.map((values) => Array.from(values)));
}

/** The same tokens in each, parted in another way. */
const examples = [example([1], [2, 3], [4]), example([1, 2], [3], [4]), example([1], [2], [3, 4])];
const pairs = [
  estimate(examples[0]!, [0.5, -1], [2]),
  estimate(examples[1]!, [0.25], [-0.5]),
  estimate(examples[2]!, [1], [-2, 3]),
];
const weights = [
  [[0.5, -1], [-2]],
  [[0.25], [0.5]],
  [[1], [2, -3]],
];

test("each token gets the weight of its own log-ratio; all else stays", async () => {
  expect(await weigh(examples, pairs)).toEqual(weights);
  const transform = { name: "exp-clamp", k: 2, mu: 1, lower: -0.5, upper: 1.5 } as const;
  const [first] = await weigh(examples, pairs, { transform });
  expect(first).toEqual([[2 * Math.exp(0.5), 2 * Math.exp(-0.5)], [2 * Math.exp(-1.5)]]);
  const weighed = await weighExamples(examples, await writeEstimates(file, pairs), { transform, seed: 0 });
  expect(weighed.map(({ given: _, ...rest }) => rest)).toEqual(examples);
  expect(examples[0]).not.toHaveProperty("given");
});

test("weights are found by the tokens, whatever the order", async () => {
  expect(await weigh(examples, pairs.toReversed())).toEqual(weights);
  expect(await weigh(examples.toReversed(), pairs)).toEqual(weights.toReversed());
});

test("there may be estimates of other pairs, too", async () => {
  const others = [
    estimate(example([9], [9], [8]), [5], [5]),
    estimate(example([1], [4], [2, 3]), [5], [5, 5]),
    estimate(example([1], [2, 3], [4, 5]), [5, 5], [5, 5]),
  ];
  expect(await weigh([examples[1]!], [...others, ...pairs])).toEqual([weights[1]]);
  expect(await weigh([], pairs)).toEqual([]);
});

test("data that repeats has one weight, that of the first estimate", async () => {
  const repeated = [examples[0]!, examples[1]!, { ...examples[0]! }];
  const other = estimate(examples[0]!, [3, 3], [3]);
  expect(await weigh(repeated, [...pairs, other])).toEqual([weights[0], weights[1], weights[0]]);
  expect(await weigh(repeated, [other, ...pairs])).toEqual([[[3, 3], [-3]], weights[1], [[3, 3], [-3]]]);
});

test("data that repeats one pair many times takes no longer", { timeout: 10_000 }, async () => {
  const repeated = Array.from({ length: 100_000 }, () => examples[0]!);
  expect(new Set((await weigh(repeated, pairs)).map(String))).toEqual(new Set([String(weights[0])]));
});

test("random weights depend on the seed and on the pair's place in the file alone", async () => {
  const transform = random;
  const first = await weigh(examples, pairs, { transform });
  expect(new Set(first.flat(2)).size).toBe(8);
  expect(await weigh(examples.toReversed(), pairs, { transform })).toEqual(first.toReversed());
  expect(await weigh([examples[2]!], pairs, { transform })).toEqual([first[2]]);
  const otherRatios = examples.map((one) => estimate(one, [], []));
  expect(await weigh(examples, otherRatios, { transform })).toEqual(first);
  const moved = await weigh(examples, pairs.toReversed(), { transform });
  expect(moved[1]).toEqual(first[1]);
  expect(moved[0]).not.toEqual(first[0]);
  expect((await weigh(examples, pairs, { transform, seed: 1 })).flat(2)).not.toContain(first[0]![0]![0]);
});

describe("data without estimates names the first pair and where the closest one differs", () => {
  const at = (one: TokenizedExample, line: number) => ({ ...one, place: { file: "data.jsonl", line } });

  test.each<[string, TokenizedExample, string]>([
    [
      "prompt",
      example([1, 7], [3], [4]),
      "pair 2 of the weights: at token 2 of its prompt the data has 7, the weights 2",
    ],
    [
      "chosen",
      example([1], [2, 5], [4]),
      "pair 1 of the weights: at token 2 of its chosen the data has 5, the weights 3",
    ],
    [
      "rejected",
      example([1], [2], [3, 6]),
      "pair 3 of the weights: at token 2 of its rejected the data has 6, the weights 4",
    ],
    [
      "longer",
      example([1, 2], [3], [4, 9]),
      "pair 2 of the weights: at token 2 of its rejected the data has 9, the weights its end",
    ],
    [
      "shorter",
      example([1], [2], [3]),
      "pair 3 of the weights: at token 2 of its rejected the data has its end, the weights 4",
    ],
  ])("%s", async (_, one, difference) => {
    await expect(weigh([examples[0]!, at(one, 8)], pairs)).rejects.toMatchObject({
      name: "UserError",
      message: expect.stringContaining(
        `${file}: has no weights for 1 of 2 pairs; the first is data.jsonl:8; closest is ${difference}; weights belong to exactly`,
      ),
    });
  });

  test("where nothing is alike, no pair is the closest", async () => {
    const strange = example([8], [8], [8]);
    const weighing = weigh([strange, examples[0]!, strange], pairs);
    await expect(weighing).rejects.toThrow("has no weights for 2 of 3 pairs; the first is a pair; weights belong");
  });
});
