/** Runs with an objective that no recipe names. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { againstMean, chancy, shifted } from "./helpers/objectives.ts";
import { folderWithBase, timeless, trainTiny, weightsHash } from "./helpers/runs.ts";

const settings = { objective: { name: "dpo" }, batchSize: 4, checkpoints: { everySteps: 2 } };

test.each([shifted, chancy])(
  "$name: a resumed run is the run without a break, state and chance included",
  async (definition) => {
    const { folder, base: model, data } = await folderWithBase();
    const objective = definition.create({});
    const common = { ...settings, model, data };
    const straight = await trainTiny(folder, { ...common, output: join(folder, "straight"), steps: 6 }, { objective });
    const output = join(folder, "broken");
    const first = await trainTiny(folder, { ...common, output, steps: 3 }, { objective });
    const second = await trainTiny(folder, { ...common, output, steps: 6 }, { objective, resume: true });
    expect(await weightsHash(second.result.model!)).toBe(await weightsHash(straight.result.model!));
    const training = ({ metrics }: typeof first) => timeless(metrics).filter(({ split }) => split === "train");
    expect(training(second)).toEqual(training(straight));

    const stateOf = async (checkpoint: string | undefined) =>
      (JSON.parse(await readFile(join(checkpoint!, "progress.json"), "utf8")) as { objective?: unknown }).objective;
    const state = await stateOf(second.result.checkpoint);
    if (definition === shifted) expect(state).toEqual({ shift: expect.any(Number) });
    else expect(state).toBeUndefined();
  },
);

test("a checkpoint with the state of another objective is refused", async () => {
  const { folder, base: model, data } = await folderWithBase();
  const run = { ...settings, model, data, steps: 2 };
  const { result } = await trainTiny(folder, run, { objective: shifted.create() });
  const again = { ...run, steps: 4 };
  await expect(trainTiny(folder, again, { objective: againstMean.create(), resume: true })).rejects.toThrow(
    "holds the state of another objective",
  );
  const file = join(result.checkpoint!, "progress.json");
  const progress = JSON.parse(await readFile(file, "utf8")) as object;
  await writeFile(file, JSON.stringify({ ...progress, objective: { other: 1 } }));
  await expect(trainTiny(folder, again, { objective: shifted.create(), resume: true })).rejects.toThrow(
    "holds the state of another objective",
  );
});

test("slic learns without a reference, and says what it has of rewards", async () => {
  const { folder, base: model, data } = await folderWithBase();
  const objective = { name: "slic", delta: 50 };
  const evaluation = { everySteps: 6 };
  const { metrics } = await trainTiny(folder, { ...settings, model, data, objective, evaluation, steps: 6 });
  const evaluations = metrics.filter(({ split }) => split === "evaluation");
  const [first, last] = [evaluations[0]!, evaluations.at(-1)!];
  expect(last.loss).toBeLessThan(first.loss as number);
  expect(last["rewards/margins"]).toBeGreaterThan(first["rewards/margins"] as number);
  const compared = Object.keys(last).filter((name) => /plain_rewards|log_ratios|ref_logps|seq_kl/.test(name));
  expect(compared).toEqual([]);
});
