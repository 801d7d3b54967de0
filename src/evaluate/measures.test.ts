import { expect, test } from "vitest";
import { dpo } from "../objectives/dpo.ts";
import type { ScoredExample } from "../step/learner.ts";
import { measure } from "./measures.ts";

/** An example with given log-probabilities of tokens, for both answers; the reference gives every token -1. */
function scored(chosen: number[], rejected: number[], rewards: [number, number]): ScoredExample {
  const responses = [chosen, rejected].map((logps) => ({
    policyLogp: Float64Array.from(logps),
    referenceLogp: new Float64Array(logps.length).fill(-1),
  }));
  return { outcome: { loss: 3, rewards, gradients: [] }, responses };
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
  const metrics = measure(examples, dpo({ name: "dpo", beta: 0.5 }));
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

test("without an objective there is no loss", () => {
  expect(measure(examples, undefined)).not.toHaveProperty("loss");
});
