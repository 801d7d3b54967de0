import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readTexts } from "./text.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-text-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("texts of JSON Lines, with another name of the column", async () => {
  const file = join(folder, "texts.jsonl");
  await writeFile(file, '{"text":"one","body":"uno"}\n{"text":"two","body":" "}\n');
  expect((await readTexts(file)).texts.map(({ text, place }) => [text, place.line])).toEqual([
    ["one", 1],
    ["two", 2],
  ]);
  await expect(readTexts(file, { column: "body" })).rejects.toThrow(/texts\.jsonl:2: body: is blank/);
  expect(await readTexts(file, { column: "body", onBadPair: "skip" })).toMatchObject({
    texts: [{ text: "uno", place: { file, line: 1 } }],
    skipped: [{ file, line: 2, reason: "body: is blank" }],
  });
});

test("texts of Parquet; a missing column is named together with those that are there", async () => {
  const file = join(folder, "texts.parquet");
  const columnData = [
    { name: "review", data: ["good", "bad"], type: "STRING" as const },
    { name: "label", data: [1, 0], type: "INT32" as const },
  ];
  await writeFile(file, new Uint8Array(parquetWriteBuffer({ columnData })));
  expect((await readTexts(file, { column: "review" })).texts.map(({ text }) => text)).toEqual(["good", "bad"]);
  await expect(readTexts(file)).rejects.toThrow(/texts\.parquet:1: text: is missing; the record has `review`, `label`/);
});
