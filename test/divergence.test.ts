/** A run that makes its model worse says so. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { folderWithBase, type Settings, trainTiny } from "./helpers/runs.ts";

const objectives: Settings[] = [{ name: "sft" }, { name: "dpo" }, { name: "ipo", beta: 0.1 }, { name: "tdpo2" }];

test.each(objectives)("while it trains, and in the end where it was evaluated, with $name", async (objective) => {
  const { folder, base: model, data } = await folderWithBase();
  const train = (output: string, changes: Settings) =>
    trainTiny(folder, { model, objective, data, steps: 12, output: join(folder, output), ...changes });
  const unheld = { train: data.train };
  const wild = (await train("wild", { learningRate: 100, data: unheld })).warnings.join("\n");
  expect(wild).toMatch(/training is diverging/);
  const held = await train("held", { learningRate: 100 });
  const [before, after] = held.metrics.filter(({ split }) => split === "evaluation").map(({ loss }) => Number(loss));
  expect(held.warnings.some((line) => line.includes("worse than the start on the held-out"))).toBe(after! > before!);
  expect((await train("well", { learningRate: 1e-4, data: unheld })).warnings).toEqual([]);
});

test.each([
  ["dpo", { name: "dpo" }, Math.log(2), "a model that equals its reference"],
  ["ipo", { name: "ipo", beta: 0.1 }, 25, "a model that equals its reference"],
  // 256 bytes and the end of an answer.
  ["sft", { name: "sft" }, Math.log(257), "a uniform guess"],
])("the loss of indifference of %s", async (_, objective, loss, who) => {
  const { folder, base: model, data } = await folderWithBase();
  const { warnings } = await trainTiny(folder, {
    ...{ model, objective, data: { train: data.train }, learningRate: 100, steps: 12 },
  });
  const told = new RegExp(`([\\d.e+]+) for ${who}`).exec(warnings.join("\n"))?.[1];
  expect(Number(told)).toBeCloseTo(loss, 2);
});
