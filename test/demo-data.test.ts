/**
 * What `tokenwise demo` runs on: its measurements mean something only while these sets stay apart.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readPairs } from "../src/data/forms/pairs.ts";
import { readPrompts } from "../src/generate/prompts.ts";
import { readRecipe } from "../src/recipe/parse.ts";
import { openModelFolder } from "../src/storage/folder.ts";

const demo = fileURLToPath(new URL("../demo/", import.meta.url));
const sets = ["training", "held-out", "fresh"] as const;

/** What two openings have in common if they are one in different spellings. */
const words = (text: string) =>
  text
    .toLowerCase()
    .match(/\p{L}+/gu)!
    .join(" ");

async function openings(set: (typeof sets)[number]): Promise<string[]> {
  return (await readPrompts(join(demo, "openings", `${set}.txt`))).map(({ text }) => text);
}

test("no opening is in two sets, or in one twice, in any spelling", async () => {
  const all = (await Promise.all(sets.map(openings))).flat().map(words);
  expect(all.length).toBeGreaterThan(200);
  expect(all.filter((opening, index) => all.indexOf(opening) !== index)).toEqual([]);
});

test.each([
  ["pairs", "training", 500],
  ["held-out", "held-out", 200],
] as const)("%s.jsonl has enough usable pairs, of %s openings only", async (file, set, least) => {
  const { pairs, skipped } = await readPairs(join(demo, `${file}.jsonl`), { onBadPair: "skip" });
  expect(skipped).toEqual([]);
  expect(pairs.length).toBeGreaterThanOrEqual(least);
  const known = new Set(await openings(set));
  expect(pairs.filter(({ prompt }) => !known.has(prompt))).toEqual([]);
});

test("the model is whole, and small enough to come with a package", async () => {
  const folder = join(demo, "model");
  expect((await openModelFolder(folder)).configuration.contextLength).toBeGreaterThan(0);
  const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(4 * 2 ** 20);
});

test("the recipe trains on the one file and evaluates on the other", async () => {
  expect((await readRecipe(join(demo, "recipe.yaml"))).data).toMatchObject({
    train: "demo/pairs.jsonl",
    evaluation: "demo/held-out.jsonl",
  });
});
