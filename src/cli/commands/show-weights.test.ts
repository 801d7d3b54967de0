import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { type Settings, temporaryFolder, tinyRecipe } from "../../../test/helpers/runs.ts";
import { writeByteTokenizer } from "../../data/tokens/byte-tokenizer.ts";
import { endToken, writeByteModel } from "../../generate/testing/byte-model.ts";
import type { PairEstimate } from "../../importance/estimate.ts";
import { responseEstimate, writeEstimates } from "../../importance/testing/estimates.ts";
import { tokenizerFingerprint } from "../../storage/fingerprint.ts";
import { expectOneError, runHere } from "../testing/run-here.ts";

let folder: string;
let model: string;
let run: string;
let recipe: string;
let estimates: string;

const bytes = (text: string) => Int32Array.from(Buffer.from(text));
const nasty = "</script><!--<img src=http://example.org>";
const texts = ["yes", "no", "é", "a\nb", nasty];

/**
 * Pair `index + 1`: the first byte of its chosen answer has the log-ratio 0.5, of its rejected
 * answer 1.
 */
const pairs = texts.map((text, index): PairEstimate => {
  const answer = (content: string, ratio: number) => responseEstimate([...bytes(content), endToken], [ratio]);
  return { prompt: bytes(`Say ${index + 1}:`), chosen: answer(text, 0.5), rejected: answer("?!", 1) };
});

/** A run whose estimates are there, and its recipe. */
beforeEach(async () => {
  folder = await temporaryFolder();
  model = await writeByteModel(join(folder, "model"));
  run = join(folder, "run");
  estimates = join(run, "contrastive", "estimates.safetensors");
  await writeEstimates(estimates, pairs, { from: "dpo", tokenizer: await tokenizerFingerprint(model) });
  recipe = join(folder, "recipe.yaml");
  await writeRecipe();
  await cp(recipe, join(run, "recipe.yaml"));
});

async function writeRecipe(changes: Settings = {}): Promise<void> {
  const settings = { model, output: run, objective: { name: "tis-dpo" }, weights: { from: "dpo" }, ...changes };
  await writeFile(recipe, tinyRecipe(folder, settings));
}

const show = (...args: string[]) => runHere("show-weights", ...args);

/** The text of pairs, and nothing on the error stream. */
async function shown(...args: string[]): Promise<string> {
  const { code, out, error } = await show(...args);
  expect([code, error]).toEqual([0, ""]);
  return out;
}

test("the help has an example", async () => {
  const { code, out } = await show("--help");
  expect(code).toBe(0);
  expect(out).toContain("\nExample:\n  tokenwise show-weights runs/tis-dpo --html weights.html\n");
});

test("the first three pairs, without colours where there is no terminal", async () => {
  const out = await shown(run);
  expect(out).toBe(`⟨…⟩ is the weight of the token before it, told where it is more than 0.05 away from 1

Pair 1
    Say 1:
  chosen  4 tokens, mean weight 1.16
    y⟨1.65⟩es<|endoftext|>
  rejected  3 tokens, mean weight 0.79
    ?⟨0.37⟩!<|endoftext|>

Pair 2
    Say 2:
  chosen  3 tokens, mean weight 1.22
    n⟨1.65⟩o<|endoftext|>
  rejected  3 tokens, mean weight 0.79
    ?⟨0.37⟩!<|endoftext|>

Pair 3
    Say 3:
  chosen  3 tokens, mean weight 1.22
    é⟨1.32⟩<|endoftext|>
  rejected  3 tokens, mean weight 0.79
    ?⟨0.37⟩!<|endoftext|>
`);
});

test("a run, its recipe, and its estimates with a model are the same", async () => {
  const expected = await shown(run);
  expect(await shown(recipe)).toBe(expected);
  expect(await shown(estimates, "--model", model)).toBe(expected);
  await writeRecipe({ weights: { from: "file", file: estimates } });
  expect(await shown(recipe)).toBe(expected);
  // The model that reads the tokens may be given as a run.
  await mkdir(join(folder, "trained"));
  await rename(model, join(folder, "trained", "model"));
  expect(await shown(run, "--model", join(folder, "trained"))).toBe(expected);
});

test("a run is read where it is, not where it was made", async () => {
  const expected = await shown(run);
  await rename(run, join(folder, "moved"));
  expect(await shown(join(folder, "moved"))).toBe(expected);
});

test("the tokenizer that a recipe names reads the tokens", async () => {
  const expected = await shown(run);
  const tokenizer = join(folder, "tokenizer");
  await writeByteTokenizer(tokenizer);
  await writeRecipe({ tokenizer });
  expect(await shown(recipe)).toBe(expected);
  await writeByteTokenizer(tokenizer, [], { addBos: true });
  await rm(estimates);
  await writeEstimates(estimates, pairs, { tokenizer: await tokenizerFingerprint(tokenizer) });
  await writeRecipe({ tokenizer: "bytes" });
  expect(await shown(recipe)).toBe(expected);
});

test("which pairs, and how many", async () => {
  const numbers = async (...args: string[]) =>
    Array.from((await shown(run, ...args)).matchAll(/^Pair (\d+)$/gm), ([, number]) => Number(number));
  expect(await numbers("--from", "2", "--pairs", "2")).toEqual([2, 3]);
  expect(await numbers("--pairs", "1")).toEqual([1]);
  expect(await numbers("--from", "4")).toEqual([4, 5]);
  expect(await numbers("--from", "5", "--pairs", "100")).toEqual([5]);
});

test("settings change the weights, not the run", async () => {
  const out = await shown(run, "--pairs", "1", "--set", "weights.transform.name=rank");
  // Equal ranks share their mean: of three, the last one; of four tokens, all but the first.
  expect(out).toContain("  chosen  4 tokens, mean weight 1.00\n    y⟨1.30⟩e⟨0.90⟩s⟨0.90⟩<|endoftext|>⟨0.90⟩\n");
  expect(out).toContain("    ?⟨0.70⟩!⟨1.15⟩<|endoftext|>⟨1.15⟩\n");
  const random = (seed: number) => shown(run, "--set", "weights.transform={name: random}", `seed=${seed}`);
  expect(await random(1)).toBe(await random(1));
  expect(await random(1)).not.toBe(await random(2));
  // A pair's random weights are its own, whichever pair is shown first.
  const second = (await random(1)).split("\n\n").find((text) => text.startsWith("Pair 2\n"))!;
  const alone = await shown(run, "--from", "2", "--set", "weights.transform={name: random}", "seed=1");
  expect(alone).toContain(second);
});

describe("--html", () => {
  test("a page that asks for nothing and that no text gets out of", async () => {
    const file = join(folder, "deep", "weights.html");
    const out = await shown(run, "--html", file);
    expect(out.endsWith(`<|endoftext|>\n\npage: ${file}\n`)).toBe(true);
    const page = await readFile(file, "utf8");
    // What the pair says is there, but as text.
    expect(page).toContain("\\u003c");
    expect(page).not.toContain(nasty);
    const [, json] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)!;
    const { units, pairs: paged } = JSON.parse(json!) as {
      units: { text: string }[];
      pairs: { prompt: string; chosen: { units: number[] } }[];
    };
    expect(paged.map(({ prompt }) => prompt)).toEqual(["Say 1:", "Say 2:", "Say 3:", "Say 4:", "Say 5:"]);
    expect(paged[4]!.chosen.units.map((unit) => units[unit]!.text).join("")).toBe(`${nasty}<|endoftext|>`);
    expect(page.match(/<\/?script/g)).toHaveLength(4);
    expect(page).not.toMatch(/https?:|src=|<link|<img|@import|url\(/);
    expect(page).toContain("default-src 'none'");
    expect(page).toContain("exp-clamp, k 1, mu 1, lower -0.5, upper 1.5");
    expect(page).toContain(`<dd>${estimates}</dd>`);
    expect(page).toContain("<dd>All 5 pairs</dd>");
    expect(await readdir(join(folder, "deep"))).toEqual(["weights.html"]);
  });

  test("a part of the pairs, and nothing printed but where it is", async () => {
    const file = join(folder, "weights.html");
    const options = ["--pairs", "0", "--html-pairs", "2", "--set", "weights.transform.name=ones"];
    expect(await shown(run, "--html", file, ...options)).toBe(`page: ${file}\n`);
    const page = await readFile(file, "utf8");
    expect(page).toContain("<dd>2 of 5 pairs</dd>");
    expect(page).toContain("<dd>ones</dd>");
    expect(page).not.toContain("Say 3:");
  });
});

describe("refusals, one clear error each", () => {
  test("a page that is there already, before anything is read", async () => {
    const file = join(folder, "weights.html");
    await writeFile(file, "mine");
    const message = /weights\.html: exists already; replace it with --overwrite, or choose another --html/;
    expectOneError(await show(join(folder, "none"), "--html", file), message);
    expect(await readFile(file, "utf8")).toBe("mine");
    expect((await show(run, "--html", file, "--overwrite")).code).toBe(0);
    expect(await readFile(file, "utf8")).toMatch(/^<!doctype html>/i);
  });

  test("of what to show", async () => {
    expectOneError(await show(join(folder, "none.yaml")), /none\.yaml: cannot read the recipe: no such file/);
    expectOneError(await show(join(folder, "none")), /none: is neither a run, a recipe nor a file of estimates/);
    expectOneError(
      await show(join(folder, "pairs.jsonl")),
      /jsonl: is neither a run, a recipe nor a file of estimates/,
    );
    expectOneError(await show(model), /model: is neither a run, a recipe nor a file of estimates/);
    expectOneError(await show(join(folder, "none.safetensors"), "--model", model), /none\.safetensors: cannot read/);
    expectOneError(await show(join(model, "model.safetensors"), "--model", model), /holds no token estimates/);
    expectOneError(await show(), /missing required argument 'weights'/);
  });

  test("a recipe or a run without weights, or without estimates", async () => {
    await writeRecipe({ objective: { name: "dpo" }, weights: null });
    expectOneError(await show(recipe), /recipe\.yaml: was trained without weights; see `weights:`/);
    await writeRecipe({ output: join(folder, "other") });
    const missing =
      /other.contrastive.estimates\.safetensors: there are no estimates yet; run `npx tokenwise weigh` first/;
    expectOneError(await show(recipe), missing);
    expectOneError(await show(run, "--set", "weights.transform.name=rang"), /weights\.transform\.name: must be one of/);
  });

  test("a file of estimates without a model, or with settings", async () => {
    expectOneError(await show(estimates), /--model: is missing; say whose tokenizer reads the tokens/);
    expectOneError(await show(estimates, "--model", join(folder, "none")), /none: no such model folder/);
    const setting = await show(estimates, "--model", model, "--set", "weights.transform.name=rank");
    expectOneError(setting, /--set: there is no recipe to change; give a run or a recipe/);
  });

  test("another tokenizer", async () => {
    const other = await writeByteModel(join(folder, "other"));
    await writeByteTokenizer(other, [["y", "e"]]);
    for (const path of [run, recipe, estimates]) {
      expectOneError(
        await show(path, "--model", other),
        /estimates\.safetensors: was estimated with another tokenizer than that of .*other$/m,
      );
    }
  });

  test("a damaged file of estimates", async () => {
    const whole = await readFile(estimates);
    await writeFile(estimates, whole.subarray(0, whole.length - 9));
    expectOneError(await show(run), /estimates\.safetensors: /);
    await writeFile(estimates, "not estimates");
    expectOneError(await show(run), /estimates\.safetensors: not a safetensors file/);
    // A log-probability that is no number, in the last pair.
    whole.fill(0xff, whole.length - 4);
    await writeFile(estimates, whole);
    expect((await show(run)).code).toBe(0);
    const message = /pair 5, \w+: the \w+ model gives token \d+ the log-probability NaN/;
    expectOneError(await show(run, "--from", "5"), message);
    expectOneError(await show(run, "--html", join(folder, "page.html")), message);
    expect(await readdir(folder)).not.toContain("page.html");
  });

  test("pairs that are not there", async () => {
    expectOneError(
      await show(run, "--from", "6"),
      /estimates\.safetensors: --from: must be at most 5, the number of pairs/,
    );
    expectOneError(await show(run, "--from", "0"), /option '--from <number>' argument '0' is invalid. It must/);
    expectOneError(await show(run, "--pairs", "-1"), /option '--pairs <count>' argument '-1' is invalid. It must/);
    expectOneError(
      await show(run, "--pairs", "0"),
      /--pairs: there is nothing to show; print at least 1, or give --html/,
    );
    expectOneError(await show(run, "--html-pairs", "0"), /option '--html-pairs <count>' argument '0' is invalid/);
  });

  test("a page that cannot be written, before anything is shown", async () => {
    const names = await readdir(folder);
    for (const below of ["page.html", join("deep", "page.html")]) {
      const result = await show(run, "--html", join(recipe, below));
      expectOneError(result, /recipe\.yaml.*: (is|a part of the path is) a file, not a folder/);
      expect(result.out).toBe("");
    }
    expectOneError(await show(run, "--html", run), /run: is a folder, not a file/);
    expect((await stat(run)).isDirectory()).toBe(true);
    expect(await readdir(folder)).toEqual(names);
  });
});
