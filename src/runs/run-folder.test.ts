import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { RunFolder } from "./run-folder.ts";

let path: string;
let folder: RunFolder;

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "tokenwise-test-"));
  folder = new RunFolder(path);
});
afterEach(() => rm(path, { recursive: true }));

const lines = async () => (await readFile(join(path, "metrics.jsonl"), "utf8")).split("\n");

test("a rewind keeps the records up to a step, and drops a line that a crash cut off", async () => {
  await folder.appendMetrics({ split: "evaluation", step: 0, loss: 3 });
  for (const step of [1, 2, 3]) await folder.appendMetrics({ split: "train", step, loss: 1 / step });
  await folder.appendMetrics({ split: "evaluation", step: 3, loss: 1 });
  await appendFile(join(path, "metrics.jsonl"), '{"split":"train","step":1,"lo');
  expect(await folder.rewindMetrics(3)).toEqual({
    evaluated: true,
    beginning: { loss: 1, evaluation: { step: 0, loss: 3 } },
  });
  expect(await lines()).toHaveLength(6);
  expect(await folder.rewindMetrics(2)).toMatchObject({ evaluated: false });
  expect(await lines()).toEqual([
    '{"split":"evaluation","step":0,"loss":3}',
    '{"split":"train","step":1,"loss":1}',
    '{"split":"train","step":2,"loss":0.5}',
    "",
  ]);
  expect(await folder.rewindMetrics(0)).toMatchObject({ evaluated: true });
  expect(await lines()).toHaveLength(2);
});

test("without records there is nothing to rewind", async () => {
  expect(await folder.rewindMetrics(3)).toMatchObject({ evaluated: false });
});

test("records that cannot be written are the user's to know", async () => {
  const below = new RunFolder(join(path, "missing"));
  await expect(below.appendMetrics({ split: "train", step: 1 })).rejects.toBeInstanceOf(UserError);
});
