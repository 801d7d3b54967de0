import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PairOptions, readPairs } from "./forms/pairs.ts";
import { readTexts } from "./forms/text.ts";
import { remarkPairs, remarkRecords } from "./remarks.ts";

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-remarks-"));
  file = join(folder, "data.jsonl");
});
afterAll(() => rm(folder, { recursive: true }));

async function write(records: readonly unknown[]): Promise<void> {
  await writeFile(file, records.map((record) => JSON.stringify(record)).join("\n"));
}

async function remarksOn(records: readonly unknown[], options: PairOptions = {}) {
  await write(records);
  const found = await readPairs(file, options);
  const remarks = { notes: [], warnings: [] };
  remarkPairs(found, { repeatedPrompt: options.repeatedPrompt ?? "keep" }, remarks);
  return { ...remarks, pairs: found.pairs };
}

const repeating = [
  { prompt: "This film is", chosen: "This film is fine.", rejected: "This film is bad." },
  { prompt: "The plot was", chosen: "The plot was clever.", rejected: "The plot was silly." },
  { prompt: "I saw it and", chosen: "I saw it and smiled.", rejected: " left." },
];

test("a prompt at the start of both answers is warned of, with its count and what to do", async () => {
  const { warnings, notes, pairs } = await remarksOn(repeating);
  expect(warnings).toEqual([
    `2 of 3 pairs: both answers begin with the prompt, the first at ${file}:1; the model would learn to repeat it: ` +
      "`data.repeatedPrompt: strip` takes it off",
  ]);
  expect(notes).toEqual([]);
  expect(pairs).toMatchObject(repeating);
});

test("or taken off and counted", async () => {
  const { warnings, notes, pairs } = await remarksOn(repeating, { repeatedPrompt: "strip" });
  expect(notes).toEqual([`2 of 3 pairs: the prompt is taken off the start of both answers, the first at ${file}:1`]);
  expect(warnings).toEqual([]);
  expect(pairs).toMatchObject([
    { prompt: "This film is", chosen: " fine.", rejected: " bad." },
    { prompt: "The plot was", chosen: " clever.", rejected: " silly." },
    repeating[2]!,
  ]);
});

test("an answer that is nothing but the prompt is a bad pair where the prompt is taken off", async () => {
  await write([{ prompt: "Q", chosen: "Q a", rejected: "Q" }]);
  await expect(readPairs(file, { repeatedPrompt: "strip" })).rejects.toThrow(
    /:1: rejected: is blank without the prompt; correct the file/,
  );
});

test("columns that nothing reads are named once; parts of a prompt are a warning", async () => {
  const pair = { prompt: "Q", chosen: "a", rejected: "b" };
  const { warnings, notes } = await remarksOn([
    { ...pair, system: "", score: null },
    { ...pair, chosen: "c", system: "Be kind.", score: 3, "bad\nname": 1 },
    { ...pair, chosen: "d", system: "Be kind.", score: 1 },
  ]);
  expect(warnings).toEqual([
    `not read, though the answers may rest on it: \`system\` (2 records, the first at ${file}:2); ` +
      "put it into the prompts where it matters",
  ]);
  expect(notes).toEqual([
    `columns that are not read: \`score\` (2 records, the first at ${file}:2), ` +
      `\`bad\\nname\` (1 record, the first at ${file}:2)`,
  ]);
});

test("of very many columns ten are named", async () => {
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`c${index}`, 1]));
  const { notes } = await remarksOn([{ prompt: "Q", chosen: "a", rejected: "b", ...many }]);
  expect(notes).toHaveLength(1);
  expect(notes[0]).toMatch(/`c9` \(1 record, .*\), 90 or more others$/);
});

test("identical and contradicting pairs are counted", async () => {
  const { warnings, notes } = await remarksOn([
    { prompt: "Q", chosen: "a", rejected: "b" },
    { prompt: "Q", chosen: "a", rejected: "b" },
    { prompt: "Q", chosen: "b", rejected: "a" },
  ]);
  expect(notes).toEqual([`1 pair repeats an earlier one, the first at ${file}:2`]);
  expect(warnings).toEqual([
    `1 pair contradicts an earlier one: the same prompt, the answers swapped, the first at ${file}:3`,
  ]);
});

test("a limit is said, and the place from which nothing is read", async () => {
  const { notes, pairs } = await remarksOn(repeating, { limit: 2, repeatedPrompt: "strip" });
  expect(pairs).toHaveLength(2);
  expect(notes[0]).toBe(`data.limit: the first 2 pairs; unread from ${file}:3 on`);
  expect((await remarksOn(repeating, { limit: 3, repeatedPrompt: "strip" })).notes).toHaveLength(1);

  await write([{ text: "one" }, { text: "two" }]);
  const found = await readTexts(file, { limit: 1 });
  const remarks = { notes: [], warnings: [] };
  remarkRecords({ records: found.texts.length, what: "text", ...found }, remarks);
  expect(remarks.notes).toEqual([`data.limit: the first 1 text; unread from ${file}:2 on`]);
});
