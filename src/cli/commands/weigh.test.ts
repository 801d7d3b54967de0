import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import {
  hashes,
  pairRecords,
  readMetrics,
  type Settings,
  temporaryFolder,
  tinyRecipe,
  writeJsonLines,
} from "../../../test/helpers/runs.ts";
import { writeByteTokenizer } from "../../data/tokens/byte-tokenizer.ts";
import { writeByteModel } from "../../generate/testing/byte-model.ts";
import { expectOneError, runHere, runInterrupted } from "../testing/run-here.ts";

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

const prompts = { from: "prompts", positive: "+{prompt}", negative: "-{prompt}" };
const data = () => ({ train: join(folder, "pairs.jsonl"), heldOut: 2 });

/** A recipe whose weights need no training. */
async function writeRecipe(changes: Settings = {}): Promise<void> {
  const settings = { model, data: data(), objective: { name: "tis-dpo" }, weights: prompts, steps: 2, ...changes };
  await writeFile(recipe, tinyRecipe(folder, settings));
}

const weigh = (...args: string[]) => runHere("weigh", recipe, ...args);
const estimates = () => join(run, "contrastive", "estimates.safetensors");

test("the help has an example", async () => {
  const { code, out } = await runHere("weigh", "--help");
  expect(code).toBe(0);
  expect(out).toContain("\nExample:\n  tokenwise weigh recipes/tis-dpo.yaml --jsonl estimates.jsonl\n");
});

test("weigh, again, show and train", async () => {
  const jsonl = join(folder, "text", "estimates.jsonl");
  expect(await weigh("--jsonl", jsonl)).toEqual({
    code: 0,
    out: `estimates: ${estimates()}\n`,
    error: expect.stringMatching(
      /^data: 6 pairs of texts\n4 training examples[\s\S]* {2}rejected [\s\S]*\nestimating the tokens of 6 pairs\n$/,
    ),
  });
  expect(await readdir(join(run, "contrastive"))).toEqual(["estimates.safetensors"]);
  expect(await readdir(run)).toEqual(["contrastive"]);
  const lines = (await readFile(jsonl, "utf8")).trimEnd().split("\n");
  const told = lines.map((line) => JSON.parse(line) as Record<string, number[]>);
  const text = (ids: number[]) => String.fromCharCode(...ids.filter((id) => id < 256));
  expect(told.map(({ prompt_tokens }) => text(prompt_tokens!)).sort()).toEqual(
    pairRecords(6).map(({ prompt }) => prompt),
  );
  for (const pair of told) {
    const record = pairRecords(6).find(({ prompt }) => prompt === text(pair.prompt_tokens!))!;
    for (const side of ["chosen", "rejected"] as const) {
      expect(text(pair[`${side}_tokens`]!)).toBe(record[side]);
      const ratios = pair[`${side}_log_ratios`]!;
      expect(ratios).toHaveLength(record[side].length + 1);
      ratios.forEach((ratio, index) => {
        expect(ratio).toBe(pair[`${side}_positive_logps`]![index]! - pair[`${side}_negative_logps`]![index]!);
      });
    }
  }

  const before = await hashes(run);
  await rm(jsonl);
  const again = await weigh("--jsonl", jsonl);
  expect(again).toEqual({
    code: 0,
    out: `estimates: ${estimates()}\n`,
    error: expect.stringMatching(/^data: 6 pairs of texts\n4 training examples[\s\S]*\nestimates: done before, .*\n$/),
  });
  expect(await hashes(run)).toEqual(before);
  expect((await readFile(jsonl, "utf8")).trimEnd().split("\n")).toEqual(lines);

  // Before the run begins, its recipe shows them.
  const shown = await runHere("show-weights", recipe);
  expect(shown.out).toContain(`\nPair 1\n    ${text(told[0]!.prompt_tokens!)}\n  chosen  `);

  const trained = await runHere("train", recipe);
  expect(trained).toMatchObject({ code: 0, out: `model: ${join(run, "model")}\n` });
  expect(trained.error).toContain(`estimates: done before, ${estimates()}\n`);
  expect((await hashes(run))["contrastive/estimates.safetensors"]).toBe(before["contrastive/estimates.safetensors"]);
  expect((await readMetrics(run)).at(-1)).toMatchObject({ split: "evaluation", "weights/chosen": expect.any(Number) });
  expect((await runHere("show-weights", run)).out).toBe(shown.out);
});

test("stopped by Ctrl-C, the same command goes on", async () => {
  await writeRecipe({ weights: { from: "sft", training: { steps: 1 } } });
  const listeners = process.listeners("SIGINT");
  const { code, out, error } = await runInterrupted("weigh", recipe);
  expect([code, out]).toEqual([130, "stopped; run the same command again to continue\n"]);
  expect(error).toMatch(/^\nstopping: finished work is kept \(press Ctrl-C again to stop at once\)\n/);
  expect(process.listeners("SIGINT")).toEqual(listeners);
  expect(await weigh()).toMatchObject({ code: 0, out: `estimates: ${estimates()}\n` });
  expect(await readdir(join(run, "contrastive"))).toEqual([
    "estimates.safetensors",
    "negative",
    "positive",
    "stages.json",
  ]);
});

test("what cannot be read of earlier estimates is estimated again", async () => {
  await weigh();
  const whole = await readFile(estimates());
  for (const damaged of [whole.subarray(0, whole.length - 1), "not estimates"]) {
    await writeFile(estimates(), damaged);
    expect(await weigh()).toEqual({
      code: 0,
      out: `estimates: ${estimates()}\n`,
      error: expect.stringMatching(/\nestimating the tokens of 6 pairs\n$/),
    });
    expect((await readFile(estimates())).equals(whole)).toBe(true);
  }
});

test("with the tokenizer of bytes, as in training", async () => {
  await writeRecipe({ tokenizer: "bytes" });
  expect((await weigh()).code).toBe(0);
  expect(await runHere("train", recipe)).toMatchObject({ code: 0, error: expect.stringContaining("done before") });
});

describe("refusals, one clear error each, and nothing is done", () => {
  test.each<[string, Settings, RegExp]>([
    [
      "no weights",
      { weights: null, objective: { name: "dpo" } },
      /recipe\.yaml: weights: is missing; say where weights/,
    ],
    [
      "weights from a file",
      { weights: { from: "file", file: "x.safetensors" } },
      /names estimates that are there already/,
    ],
    ["a new model", { model: null }, /recipe\.yaml:\d+:3: init: weights need a model to begin with; give `model`/],
    ["no such data", { data: { train: "nowhere.jsonl" } }, /nowhere\.jsonl: there is no such file/],
    ["no such model", { model: "nowhere" }, /nowhere: no such model folder/],
  ])("%s", async (_, changes, message) => {
    await writeRecipe(changes);
    expectOneError(await weigh(), message);
    expect(await readdir(folder)).not.toContain("run");
  });

  test("no recipe, bad settings", async () => {
    expectOneError(await runHere("weigh"), /missing required argument 'recipe'/);
    expectOneError(
      await runHere("weigh", join(folder, "none.yaml")),
      /none\.yaml: cannot read the recipe: no such file/,
    );
    expectOneError(await weigh("--set", "weights.from=ppo"), /--set weights\.from=ppo: weights\.from: must be one of/);
    expectOneError(await weigh("--set", "weights.positive=Good"), /weights\.positive: holds `\{prompt\}` nowhere/);
    expect(await readdir(folder)).not.toContain("run");
  });

  test("another tokenizer, another vocabulary", async () => {
    const other = await writeByteModel(join(folder, "other"));
    await writeByteTokenizer(other, [["y", "e"]]);
    await writeRecipe({ weights: { from: "models", positive: model, negative: other } });
    expectOneError(
      await weigh(),
      /other: weights\.negative: means other tokens by the same ids than the model to train: its token 256 is "ye"/,
    );
    expect(await readdir(folder)).not.toContain("run");
  });

  test("lines of JSON that cannot be written", async () => {
    for (const below of ["out.jsonl", join("deep", "out.jsonl")]) {
      expectOneError(await weigh("--jsonl", join(recipe, below)), /recipe\.yaml.*: (is|a part of the path is) a file/);
    }
    expect(await readdir(folder)).not.toContain("run");
  });

  test("lines of JSON that are there already", async () => {
    const jsonl = join(folder, "out.jsonl");
    await writeFile(jsonl, "mine");
    const message = /out\.jsonl: exists already; replace it with --overwrite, or choose another --jsonl/;
    expectOneError(await weigh("--jsonl", jsonl), message);
    expect(await readFile(jsonl, "utf8")).toBe("mine");
    expect(await readdir(folder)).not.toContain("run");
    expect((await weigh("--jsonl", jsonl, "--overwrite")).code).toBe(0);
    expect(await readFile(jsonl, "utf8")).toMatch(/^\{"/);
  });
});
