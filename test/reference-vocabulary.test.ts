/** A reference over other tokens: as many of them, but the ids mean other pieces of text. */
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { evaluate } from "../src/evaluate/evaluate.ts";
import { folderWithBase, trainTiny } from "./helpers/runs.ts";

let folder: string;
let base: string;
let other: string;
let data: object;
beforeEach(async () => {
  ({ folder, base, data } = await folderWithBase());
  other = join(folder, "other");
  await cp(join(base, "model"), other, { recursive: true });
  const file = join(other, "tokenizer.json");
  const swap: Record<string, string> = { '"Q":': '"Z":', '"Z":': '"Q":' };
  await writeFile(
    file,
    (await readFile(file, "utf8")).replace(/"[QZ]":/g, (key) => swap[key]!),
  );
});

const difference = /means other tokens by the same ids.*: its token \d+ is "[QZ]", not "[QZ]"; /;
const settings = (output: string, reference: string) => ({
  ...{ model: base, reference, data, output: join(folder, output), objective: { name: "dpo" }, steps: 1 },
});

test("training refuses it, before anything is written, also in a dry run", async () => {
  for (const dryRun of [true, false]) {
    await expect(trainTiny(folder, settings("refused", other), { dryRun })).rejects.toThrow(difference);
  }
  await expect(trainTiny(folder, settings("refused", other))).rejects.toThrow(/recipe\.yaml:\d+:\d+: reference: /);
});

test("evaluation refuses it, as a reference and side by side", async () => {
  const pairs = [join(folder, "pairs.jsonl")];
  await expect(evaluate({ models: [base], reference: other, data: pairs })).rejects.toThrow(difference);
  await expect(evaluate({ models: [base, other], data: pairs })).rejects.toThrow(difference);
});

test("without a tokenizer, or with one that is only written otherwise, it may be used", async () => {
  const plain = join(folder, "plain");
  await cp(join(base, "model"), plain, { recursive: true });
  const file = join(plain, "tokenizer.json");
  await writeFile(file, JSON.stringify(JSON.parse(await readFile(file, "utf8")), null, 3));
  await trainTiny(folder, settings("written-otherwise", plain));
  await rm(file);
  const { result } = await trainTiny(folder, settings("without", plain));
  expect(result.status).toBe("finished");
});
