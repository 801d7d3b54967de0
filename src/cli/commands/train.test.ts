/** `tokenwise train` with importance weights, which it prepares by itself. */
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import {
  hashes,
  pairRecords,
  readMetrics,
  type Settings,
  temporaryFolder,
  timeless,
  tinyRecipe,
  writeJsonLines,
} from "../../../test/helpers/runs.ts";
import { writeByteModel } from "../../generate/testing/byte-model.ts";
import { expectOneError, runHere } from "../testing/run-here.ts";

let folder: string;
let model: string;
let run: string;
let recipe: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  model = await writeByteModel(join(folder, "model"));
  await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(6));
  run = join(folder, "run");
  recipe = join(folder, "recipe.yaml");
  await writeRecipe();
});

async function writeRecipe(changes: Settings = {}): Promise<void> {
  const weights = { from: "dpo", training: { steps: 1 } };
  const settings = { model, objective: { name: "tis-dpo" }, weights, steps: 2, ...changes };
  await writeFile(recipe, tinyRecipe(folder, settings));
}

const train = (...args: string[]) => runHere("train", recipe, ...args);

test("one command does everything; the next ones do only what is left", async () => {
  const first = await train();
  expect(first).toMatchObject({ code: 0, out: `model: ${join(run, "model")}\n` });
  const stages = ["\npositive model: ", "\nnegative model: ", "\ntis-dpo: 2 steps of 4 examples\n"];
  const places = stages.map((stage) => `\n${first.error}`.indexOf(stage));
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  expect(places).not.toContain(-1);
  expect(first.error).not.toContain("done before");
  expect((await readdir(run)).sort()).toEqual(["checkpoints", "contrastive", "metrics.jsonl", "model", "recipe.yaml"]);
  const metrics = await readMetrics(run);
  expect(metrics[0]).toMatchObject({ "weights/chosen": expect.any(Number), "weights/rejected": expect.any(Number) });
  const before = await hashes(run);

  // Refused before any weighing: these settings would need all of it again.
  expectOneError(await train(), /run: already holds a run; continue it with --resume, replace it with --overwrite/);
  expectOneError(await train("--set", "weights.training.steps=3"), /run: already holds a run/);
  expectOneError(await train("--resume", "--set", "weights.training.steps=3"), /steps: the run began with 1, not 3/);
  expectOneError(
    await train("--resume", "--set", "weights.transform.name=rank"),
    /name: the run began with "exp-clamp", not "rank"/,
  );
  expect(await hashes(run)).toEqual(before);

  const resumed = await train("--resume");
  expect(resumed).toMatchObject({ code: 0, out: `model: ${join(run, "model")}\n` });
  expect(resumed.error).not.toContain("done before");
  expect(resumed.error).toContain("resumed at step 2\n");
  expect(await hashes(run)).toEqual(before);

  const again = await train("--overwrite");
  expect(again.code).toBe(0);
  expect(again.error.match(/done before/g)).toHaveLength(3);
  expect(timeless(await readMetrics(run))).toEqual(timeless(metrics));
});

test("a dry run without estimates says so, and writes nothing", async () => {
  const names = await readdir(folder);
  for (const weights of [{ from: "dpo" }, { from: "prompts", positive: "+{prompt}", negative: "-{prompt}" }]) {
    await writeRecipe({ weights });
    const { code, out, error } = await train("--dry-run");
    expect([code, out]).toEqual([0, "the recipe is good\n"]);
    expect(`\n${error}`).toContain("\nthe importance weights are not estimated yet\n");
    expect(error).not.toContain("positive model");
    expect(await readdir(folder)).toEqual(names);
  }
});

test("a dry run accepts estimates of other data, which would be made again, unless they are given as a file", async () => {
  const prompts = { from: "prompts", positive: "+{prompt}", negative: "-{prompt}" };
  await writeRecipe({ weights: prompts });
  expect((await runHere("weigh", recipe)).code).toBe(0);
  const good = await train("--dry-run");
  expect([good.code, good.out]).toEqual([0, "the recipe is good\n"]);
  expect(good.error).not.toContain("not estimated");
  await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(7));
  expect((await train("--dry-run")).code).toBe(0);
  await writeRecipe({ weights: { from: "file", file: join(run, "contrastive", "estimates.safetensors") } });
  const { code, error } = await train("--dry-run");
  expect(code).toBe(2);
  expect(error).toMatch(/\nerror: .*estimates\.safetensors: has no weights for 1 of 7 pairs; .*\n$/);
  expect(await readdir(run)).toEqual(["contrastive"]);
});

test.each<[Settings, RegExp]>([
  [{ from: "prompts", preset: "helpful" }, /with its instruction a pair has \d+ tokens, the model's context is \d+; /],
  [{ from: "models", positive: "nowhere", negative: "nowhere" }, /nowhere: no such model folder/],
  [{ from: "file", file: "none.safetensors" }, /none\.safetensors: there are no estimates for the weights/],
])("a dry run refuses what cannot work: %o", async (weights, message) => {
  await writeRecipe({ weights });
  const { code, error } = await train("--dry-run");
  expect(code).toBe(2);
  expect(error).toMatch(message);
});

test("what cannot become a run is refused before any weighing", async () => {
  const names = await readdir(folder);
  expectOneError(await train("--resume"), /run: there is no run to resume; start it without --resume/);
  expectOneError(await train("--set", `output=${folder}`), /already holds a run/);
  expectOneError(await train("--set", `output=${model}`), /model: is not empty; choose another `output`/);
  expectOneError(await train("--set", `output=${join(recipe, "run")}`), /a part of the path is a file, not a folder/);
  const inside = await train("--set", `weights.folder=${join(run, "mine")}`);
  expectOneError(inside, /weights\.folder: lies in the run's folder; leave it out, or choose one outside of `output`/);
  expect((await train("--dry-run", "--set", `weights.folder=${join(folder, "mine")}`)).code).toBe(0);
  await writeRecipe({ weights: { from: "file", file: join(folder, "none.safetensors") } });
  const { code, error } = await train();
  expect(code).toBe(2);
  expect(error).toMatch(
    /error: .*none\.safetensors: there are no estimates for the weights; `tokenwise weigh` writes it\n$/,
  );
  expect(await readdir(folder)).toEqual(names);
});
