import { describe, expect, test } from "vitest";
import { example } from "../../test/helpers/tiny.ts";
import { createObjective } from "../objectives/index.ts";
import type { JudgedExample } from "./learner.ts";
import { summarize } from "./metrics.ts";

const vector = (...values: number[]) => Float64Array.from(values);

/** A pair from the log-probabilities and divergences of its tokens; β is 1/2. */
function pair(loss: number, rewards: readonly [number, number], ...sides: Record<string, number[]>[]): JudgedExample {
  const responses = sides.map((side) =>
    Object.fromEntries(Object.entries(side).map(([name, values]) => [name, vector(...values)])),
  );
  const plain = responses.flatMap(({ policyLogp, referenceLogp }) =>
    referenceLogp ? [policyLogp!.reduce((sum, logp, t) => sum + 0.5 * (logp - referenceLogp[t]!), 0)] : [],
  );
  const plainRewards = plain.length > 0 ? plain : undefined;
  const outcome = { losses: [loss], loss, rewards, plainRewards, gradients: [] };
  return { example: example([1], ...sides.map(({ policyLogp }) => policyLogp!.map(() => 1))), outcome, responses };
}

describe("pairs", () => {
  const objective = createObjective({ name: "tdpo2", beta: 0.5, alpha: 0.5 });
  const pairs = [
    pair(
      0.5,
      [3, 1],
      { policyLogp: [-1, -2], referenceLogp: [-2, -3], klReferencePolicy: [0.5, 0.25] },
      { policyLogp: [-4], referenceLogp: [-3], klReferencePolicy: [1] },
    ),
    pair(
      1,
      [2, 2],
      { policyLogp: [-3], referenceLogp: [-2], klReferencePolicy: [0.25] },
      { policyLogp: [-1, -1, -1], referenceLogp: [-1, -1, -1], klReferencePolicy: [0, 0, 0] },
    ),
    pair(
      0,
      [0, 4],
      { policyLogp: [-5], referenceLogp: [-6], klReferencePolicy: [1] },
      { policyLogp: [-2], referenceLogp: [-3], klReferencePolicy: [3] },
    ),
    pair(
      2.5,
      [1, 5],
      { policyLogp: [-1], referenceLogp: [-1], klReferencePolicy: [1] },
      { policyLogp: [-5], referenceLogp: [-1], klReferencePolicy: [0] },
    ),
  ];

  test("sums over tokens, means over pairs, ties one half", () => {
    expect(summarize(pairs, objective)).toEqual({
      loss: 1,
      "rewards/chosen": 1.5,
      "rewards/rejected": 3,
      "rewards/margins": -1.5,
      // Higher, tie, lower, lower.
      "rewards/accuracies": 0.375,
      // Log-ratios 2 and -1, -1 and 0, 1 and 1, 0 and -4, times β.
      "plain_rewards/chosen": 0.25,
      "plain_rewards/rejected": -0.5,
      "plain_rewards/margins": 0.75,
      "plain_rewards/accuracies": 0.625,
      "logps/chosen": -3,
      "logps/rejected": -3.5,
      "ref_logps/chosen": -3.5,
      "ref_logps/rejected": -2.5,
      "seq_kl/chosen": 0.75,
      "seq_kl/rejected": 1,
      "seq_kl/margins": -0.25,
    });
  });

  test("without statistics of a reference there are no figures of one", () => {
    const bare = [pair(1, [0, 1], { policyLogp: [-1] }, { policyLogp: [-2, -2] })];
    expect(Object.keys(summarize(bare, objective))).toEqual([
      ...["loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies"],
      ...["logps/chosen", "logps/rejected"],
    ]);
  });
});

describe("texts", () => {
  const text = (loss: number, ...logps: number[]): JudgedExample => ({
    example: example(
      [1],
      logps.map(() => 1),
    ),
    outcome: { losses: [loss], loss, rewards: undefined, plainRewards: undefined, gradients: [] },
    responses: [{ policyLogp: vector(...logps) }],
  });
  const texts = [text(3, -1, -1, -1), text(9, -9)];

  test.each([
    ["tokens", 3],
    ["sequences", 6],
  ] as const)("loss as a mean over %s", (mean, loss) => {
    const metrics = summarize(texts, createObjective({ name: "sft", mean }));
    expect(metrics).toEqual({ loss, logps: -6, tokens_per_response: 2 });
  });
});
