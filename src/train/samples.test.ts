import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import {
  pairRecords,
  type Settings,
  temporaryFolder,
  timeless,
  trainTiny,
  writeJsonLines,
} from "../../test/helpers/runs.ts";
import type { SamplesRecord } from "../runs/run-folder.ts";
import { RunFolder } from "../runs/run-folder.ts";
import { trainRun as resume } from "./run.ts";

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(16));
});

const train = (name: string, samples: number, changes: Settings = {}) =>
  trainTiny(folder, {
    ...{ output: join(folder, name), objective: { name: "dpo", beta: 0.5 }, learningRate: 0.03 },
    data: { train: join(folder, "pairs.jsonl"), heldOut: 3 },
    evaluation: { everySteps: 2, samples },
    ...changes,
  });

async function readSamples(run: string): Promise<SamplesRecord[]> {
  const lines = (await readFile(join(run, "samples.jsonl"), "utf8")).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as SamplesRecord);
}

test("every evaluation leaves answers of policy and reference to the held-out prompts", async () => {
  const { recipe, metrics } = await train("sampled", 2);
  const records = await readSamples(recipe.output);
  expect(records.map(({ step }) => step)).toEqual([0, 0, 0, 2, 2, 2, 4, 4, 4]);
  const at = (wanted: number) => records.filter(({ step }) => step === wanted);
  const prompts = at(0).map(({ prompt }) => prompt);
  expect(new Set(prompts).size).toBe(3);
  for (const prompt of prompts) expect(prompt).toMatch(/^Say \d+:$/);
  for (const { policy, reference } of records) expect([policy.length, reference!.length]).toEqual([2, 2]);
  // The policy begins as the reference, and the same chance meets both.
  for (const { policy, reference } of at(0)) expect(policy).toEqual(reference);
  for (const step of [2, 4]) {
    expect(at(step).map(({ prompt, reference }) => [prompt, reference])).toEqual(
      at(0).map(({ prompt, reference }) => [prompt, reference]),
    );
  }
  expect(at(4).map(({ policy }) => policy)).not.toEqual(at(0).map(({ policy }) => policy));

  const without = await train("not-sampled", 0);
  expect(existsSync(join(without.recipe.output, "samples.jsonl"))).toBe(false);
  expect(timeless(metrics)).toEqual(timeless(without.metrics));
});

test("supervised training has no reference to ask", async () => {
  const { recipe } = await train("supervised", 1, { objective: { name: "sft" }, steps: 1 });
  for (const record of await readSamples(recipe.output))
    expect(Object.keys(record)).toEqual(["step", "prompt", "policy"]);
});

test("a run resumed behind its samples draws the same again", async () => {
  const { recipe } = await train("resumed", 1, { steps: 2, evaluation: { everySteps: 1, samples: 1 } });
  const before = await readSamples(recipe.output);
  await new RunFolder(recipe.output).appendSamples([{ step: 3, prompt: "of a step that is done again", policy: [] }]);
  const longer = { ...recipe, steps: 4 };
  await resume(longer, { resume: true });
  const after = await readSamples(recipe.output);
  expect(after.slice(0, before.length)).toEqual(before);
  const { recipe: whole } = await train("whole", 1, { steps: 4, evaluation: { everySteps: 1, samples: 1 } });
  expect(after).toEqual(await readSamples(whole.output));
});

describe("a rewind", () => {
  test("keeps the samples of evaluations that are on record", async () => {
    const run = new RunFolder(folder);
    const sample = (step: number) => ({ step, prompt: "p", policy: ["a"] });
    await run.appendMetrics({ split: "evaluation", step: 0 });
    await run.appendSamples([sample(0), sample(2), sample(4)]);
    await run.rewindMetrics(4);
    expect(await readSamples(folder)).toEqual([sample(0), sample(2)]);
    await run.rewindMetrics(0);
    expect(await readSamples(folder)).toEqual([sample(0)]);
  });
});
