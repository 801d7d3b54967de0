import { expect, test } from "vitest";
import { folderWithBase } from "../test/helpers/runs.ts";
import { UserError } from "./errors.ts";
import { loadModel } from "./loaded-model.ts";

test("a loaded model generates, scores and makes pairs", async () => {
  const { base } = await folderWithBase();
  const model = await loadModel(base, { threads: 2 });
  try {
    const options = { samples: 3, maxNewTokens: 8, seed: 1 };
    const answers = await model.generate(["Say 1:", "Say 2:"], options);
    expect(answers.map(({ prompt, sample }) => [prompt, sample])).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
      [1, 0],
      [1, 1],
      [1, 2],
    ]);
    expect(await model.generate(["Say 1:", "Say 2:"], options)).toEqual(answers);

    const [pair, swapped] = await model.score([
      { prompt: "Say 1:", chosen: " yes", rejected: " no?" },
      { prompt: "Say 1:", chosen: " no?", rejected: " yes" },
    ]);
    expect([...pair!.chosen.tokens]).toEqual([...Buffer.from(" yes"), model.tokenizer.eosId]);
    expect(pair!.chosen.logp).toHaveLength(5);
    expect(pair!.chosen.sum).toBeCloseTo(
      pair!.chosen.logp.reduce((sum, value) => sum + value, 0),
      12,
    );
    expect(pair!.chosen.sum).toBeGreaterThan(pair!.rejected.sum);
    expect(swapped!.rejected.sum).toBeCloseTo(pair!.chosen.sum, 4);

    const longest = await model.makePairs(["Say 1:", "Say 2:"], {
      ...options,
      samples: 8,
      score: (items) => items.map(({ response }) => response.length),
    });
    expect(longest.length).toBeGreaterThan(0);
    for (const { chosen, rejected, chosen_score: best } of longest) {
      expect(best).toBe(chosen.length);
      expect(chosen.length).toBeGreaterThan(rejected.length);
    }
    await expect(model.generate(["x".repeat(100)])).rejects.toThrow(UserError);
  } finally {
    model.dispose();
  }
});

test("a folder that holds no model is one clear error", async () => {
  await expect(loadModel("no/such/folder")).rejects.toThrow(UserError);
});
