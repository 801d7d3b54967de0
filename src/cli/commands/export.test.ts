import { cp, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { hashes, temporaryFolder } from "../../../test/helpers/runs.ts";
import { openModelFolder } from "../../storage/folder.ts";
import { mergeAdapter } from "../../storage/merge-adapter.ts";
import { tinyLora, writeTinyAdapter, writeTinyModel } from "../../storage/testing/tiny-adapter.ts";
import { expectOneError, runHere, runInterrupted } from "../testing/run-here.ts";

let root: string;
let base: string;
let adapter: string;
let output: string;
beforeEach(async () => {
  root = await temporaryFolder();
  base = await writeTinyModel(join(root, "base"));
  for (const name of ["tokenizer.json", "generation_config.json"]) await writeFile(join(base, name), `"${name}"`);
  adapter = await writeTinyAdapter(join(root, "adapter"), base);
  output = join(root, "merged");
});

const dtypes = async (path: string) =>
  [...new Set(Array.from((await openModelFolder(path)).parameters.values(), ({ dtype }) => dtype))].join();

test("writes a whole model that needs neither adapter nor base", async () => {
  const { code, out } = await runHere("export", adapter, "--output", output);
  expect(out).toBe(`${adapter} merged into ${base}, in float32: ${output}\n`);
  expect(code).toBe(0);
  const expected = new Map<string, Float32Array>();
  for (const [name, make] of mergeAdapter(await openModelFolder(adapter))) expected.set(name, await make());
  for (const folder of [adapter, base]) await rm(folder, { recursive: true });
  const merged = await openModelFolder(output);
  expect(merged.lora).toBeUndefined();
  for (const [name, data] of expected) expect(await merged.read(name)).toEqual(data);
  const files = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"];
  expect(await readdir(output)).toEqual(files);
});

test("takes a run, and a base that has moved", async () => {
  await mkdir(join(root, "run"));
  await rename(adapter, join(root, "run", "model"));
  await rename(base, join(root, "moved"));
  const args = ["export", join(root, "run"), "--output", output];
  expectOneError(await runHere(...args), /base_model_name_or_path: .* is no folder with a model; .*--base/);
  expect((await runHere(...args, "--base", join(root, "moved"))).code).toBe(0);
  expect(await dtypes(output)).toBe("F32");
});

test("keeps bfloat16 unless told otherwise", async () => {
  for (const name of ["tokenizer.json", "generation_config.json"]) await rm(join(base, name));
  await writeTinyModel(base, "bfloat16");
  const expected = { "": "BF16", "--dtype=float32": "F32", "--dtype=bfloat16": "BF16" };
  for (const [option, dtype] of Object.entries(expected)) {
    await runHere("export", adapter, "--output", output, "--overwrite", ...(option ? [option] : []));
    expect(await dtypes(output)).toBe(dtype);
  }
});

test("says how much of an adapter bfloat16 rounds away", async () => {
  await writeTinyModel(base, "bfloat16");
  // Numbers of the tiny adapter are coarse; a small scale makes changes that the digits of bfloat16
  // do not hold.
  await writeTinyAdapter(adapter, base, { ...tinyLora, alpha: 0.003 });
  const warning =
    /^warning: rounding to bfloat16 moves the weights by \d+ % of what the adapter does; --dtype float32/m;
  expect((await runHere("export", adapter, "--output", output)).error).toMatch(warning);
  expect((await runHere("export", adapter, "--output", output, "--overwrite", "--dtype=float32")).error).toBe("");
});

test("refuses what would lose something, and leaves everything as it was", async () => {
  const before = await hashes(root);
  const run = (...args: string[]) => runHere("export", ...args);
  expectOneError(await run(base, "--output", output), /base: is a whole model: there is no adapter to merge/);
  for (const path of [base, adapter]) {
    expectOneError(await run(adapter, "--output", path, "--overwrite"), /is what the model is made from; choose/);
  }
  expect(await hashes(root)).toEqual(before);
  await cp(base, output, { recursive: true });
  expectOneError(await run(adapter, "--output", output), /merged: exists already; replace it with --overwrite/);
  await writeFile(join(output, "thesis.txt"), "kept");
  expectOneError(await run(adapter, "--output", output, "--overwrite"), /would delete thesis\.txt/);
  await rm(join(output, "thesis.txt"));
  expect((await run(adapter, "--output", output, "--overwrite")).code).toBe(0);
  expect(await readdir(root)).toEqual(["adapter", "base", "merged"]);
});

test("Ctrl-C leaves nothing behind", async () => {
  expect((await runInterrupted("export", adapter, "--output", output)).code).toBe(130);
  expect(await readdir(root)).toEqual(["adapter", "base"]);
});
