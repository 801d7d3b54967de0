import { expect, test } from "vitest";
import { example } from "../../test/helpers/tiny.ts";
import { dpo } from "../objectives/dpo.ts";
import { slic } from "../objectives/slic.ts";
import type { JudgedExample } from "../step/learner.ts";
import { measure, measureStatistics } from "./measures.ts";

/**
 * An example with given log-probabilities of tokens, for both answers; the reference gives every
 * token -1.
 */
function scored(chosen: number[], rejected: number[], rewards: [number, number]): JudgedExample {
  const responses = [chosen, rejected].map((logps) => ({
    policyLogp: Float64Array.from(logps),
    referenceLogp: new Float64Array(logps.length).fill(-1),
  }));
  const plainRewards = [chosen, rejected].map((logps) => 0.5 * logps.reduce((sum, logp) => sum + logp + 1, 0));
  const outcome = { losses: [3], loss: 3, rewards, plainRewards, gradients: [] };
  return { example: example([1], ...[chosen, rejected].map((logps) => logps.map(() => 1))), outcome, responses };
}

const examples = [
  // Sums tie at -3; per token the longer is likelier; ratios -2 and 0.
  scored([-3], [-1, -1, -1], [1, 1]),
  // Sum -4 against -2; per token a tie; ratios -2 and -1.
  scored([-2, -2], [-2], [2, 1]),
  // Chosen is likelier as a sum; per token a tie, and so are the ratios, 0.
  scored([-1], [-1, -1], [0, 5]),
];

test("ties count one half in each comparison by itself, and are counted", () => {
  const metrics = measure(examples, dpo.create({ beta: 0.5 }));
  expect(metrics).toMatchObject({
    loss: 3,
    "rewards/accuracies": 1.5 / 3,
    "rewards/ties": 1,
    "plain_rewards/accuracies": 0.5 / 3,
    "plain_rewards/ties": 1,
    "plain_rewards/chosen": (0.5 * -4) / 3,
    "logps/accuracies": 1.5 / 3,
    "logps/ties": 1,
    "logps_per_token/accuracies": 1 / 3,
    "logps_per_token/ties": 2,
    "tokens/chosen": 4 / 3,
    "tokens/rejected": 2,
  });
});

test("an objective without beta has log-ratios instead of plain rewards", () => {
  const bare = examples.map(({ outcome, ...rest }) => ({ ...rest, outcome: { ...outcome, plainRewards: undefined } }));
  const metrics = measure(bare, slic.create());
  expect(metrics).toMatchObject({ "log_ratios/chosen": -4 / 3, "log_ratios/ties": 1 });
  expect(Object.keys(metrics).filter((name) => name.startsWith("plain_rewards"))).toEqual([]);
});

test("without an objective there are neither loss nor rewards", () => {
  const { loss: _, ...all } = measure(examples, dpo.create());
  const own = Object.entries(all).filter(([name]) => !name.includes("rewards"));
  expect(measureStatistics(examples)).toEqual(Object.fromEntries(own));
});
