/**
 * The command line on a model of every family but Llama, which the other tests take: init, train,
 * adapt, export, generate.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runHere } from "../src/cli/testing/run-here.ts";
import { writeByteTokenizer } from "../src/data/tokens/byte-tokenizer.ts";
import { float64Engine } from "../src/engine/float64.ts";
import { openModelFolder } from "../src/storage/folder.ts";
import { saveModelFolder } from "../src/storage/save-folder.ts";
import { pairRecords, readMetrics, temporaryFolder, tinyRecipe, writeJsonLines } from "./helpers/runs.ts";
import { tinyConfiguration, tinyFamilies, tinyModel } from "./helpers/tiny.ts";

/** The folder of a random model of the family over bytes. */
async function writeModel(root: string, family: string): Promise<string> {
  const tokens = { vocab_size: 257, bos_token_id: 256, eos_token_id: 256 };
  const configuration = tinyConfiguration({ ...tinyFamilies[family], ...tokens });
  const { parameters } = tinyModel(float64Engine(), configuration, 3);
  const numbers = new Map(Array.from(parameters, ([name, { data }]) => [name, Float32Array.from(data)]));
  await writeByteTokenizer(join(root, "tokenizer"));
  const path = join(root, "model");
  await saveModelFolder(path, { configuration, parameters: numbers, tokenizerFrom: join(root, "tokenizer") });
  return path;
}

test.each(Object.keys(tinyFamilies))("%s, from init to generate", async (family) => {
  const root = await temporaryFolder();
  const model = await writeModel(root, family);
  const pairs = await writeJsonLines(join(root, "pairs.jsonl"), pairRecords(12));
  const work = async (...args: string[]) => {
    const { code, out, error } = await runHere(...args);
    expect(code, error).toBe(0);
    return out;
  };
  expect(await work("init", model, pairs, "--output", join(root, "proposed.yaml"))).toContain(`model, ${family}, `);

  const objective = { name: "tdpo2", beta: 0.1, alpha: 0.5 };
  const common = { model, objective, data: { train: pairs, heldOut: 3 }, threads: 1 };
  const runs = { whole: {}, adapted: { lora: { rank: 2, targetModules: "all-linear", base: "int4" } } };
  for (const [name, changes] of Object.entries(runs)) {
    const recipe = join(root, `${name}.yaml`);
    await writeFile(recipe, tinyRecipe(root, { ...common, ...changes, output: join(root, name) }));
    await work("train", recipe);
    const losses = (await readMetrics(join(root, name))).flatMap(({ loss }) =>
      typeof loss === "number" ? [loss] : [],
    );
    // A policy that is its reference has the loss log 2.
    expect(losses[0]).toBeCloseTo(Math.log(2), 5);
    expect(losses.at(-1)).not.toBe(losses[0]);
  }
  const trained = await openModelFolder(join(root, "whole", "model"));
  expect([...trained.parameters.keys()].sort()).toEqual([...(await openModelFolder(model)).parameters.keys()].sort());

  await work("export", join(root, "adapted"), "--output", join(root, "merged"));
  expect(JSON.parse(await readFile(join(root, "merged", "config.json"), "utf8")).model_type).toBe(family);
  const merged = ["generate", join(root, "merged"), "--prompt", "Say", "--threads", "1"];
  const generated = await work(...merged, "--greedy", "--max-new-tokens", "5");
  expect(generated.length).toBeGreaterThan(0);
});
