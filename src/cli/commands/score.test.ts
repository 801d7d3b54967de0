import { readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { pairRecords, temporaryFolder, writeJsonLines } from "../../../test/helpers/runs.ts";
import { writeByteModel } from "../../generate/testing/byte-model.ts";
import { expectOneError, runHere, runInterrupted } from "../testing/run-here.ts";

let folder: string;
let model: string;
let data: string;
let output: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  model = await writeByteModel(join(folder, "model"));
  data = await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(3));
  output = join(folder, "new", "scores.jsonl");
});

const score = (...args: string[]) =>
  runHere("score", model, "--data", data, "--output", output, "--threads", "2", ...args);

test("writes a line for each pair, and with a reference what compares with it", async () => {
  const { code, out, error } = await score();
  expect(out).toBe(`scores of 3 pairs: ${output}\n`);
  expect(error).toMatch(/^data: 3 pairs of texts\n3 given examples; longest prompt/);
  expect(code).toBe(0);
  const read = async () =>
    (await readFile(output, "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
  const [first, ...others] = await read();
  expect(others.map(({ index }) => index)).toEqual([1, 2]);
  expect(Object.keys(first)).toEqual(["index", "prompt", "chosen", "rejected", "file", "line"]);
  expect(first.prompt).toEqual({ tokens: [...Buffer.from("Say 0:")] });
  expect(Object.keys(first.chosen)).toEqual(["tokens", "logp", "sum", "entropy", "entropy_sum"]);
  expect(first.chosen.tokens).toEqual([...Buffer.from(" yes"), 256]);
  expect((await score("--reference", model, "--overwrite")).code).toBe(0);
  const [compared] = await read();
  expect(compared.chosen).toMatchObject(first.chosen);
  expect(compared.chosen.log_ratio).toEqual([0, 0, 0, 0, 0]);
  expect(compared.chosen.reference_sum).toBe(first.chosen.sum);
  expect(compared.chosen.kl_policy_reference).toHaveLength(5);
});

test("takes other names of columns", async () => {
  const records = pairRecords(2).map(({ prompt, chosen, rejected }) => ({
    question: prompt,
    good: chosen,
    bad: rejected,
  }));
  await writeJsonLines(data, records);
  const { code, out } = await score("--columns", "prompt=question", "chosen=good", "rejected=bad");
  expect([code, out]).toEqual([0, `scores of 2 pairs: ${output}\n`]);
  expectOneError(await score("--columns", "text=good", "--overwrite"), /where name is prompt, chosen or rejected/);
});

test("stopped by Ctrl-C, it leaves nothing", async () => {
  const before = await readdir(folder);
  const inFolder = join(folder, "scores.jsonl");
  const { code, out } = await runInterrupted("score", model, "--data", data, "--output", inFolder);
  expect([code, out]).toEqual([130, "stopped\n"]);
  expect(await readdir(folder)).toEqual(before);
});

describe("refuses, and leaves everything as it was", () => {
  test.each<[string, () => string[], RegExp]>([
    ["no output", () => ["score", model, "--data", data], /required option '--output <file>' not specified/],
    ["a bad model", () => ["score", join(folder, "none"), "--data", data, "--output", output], /no such model folder/],
    ["bad data", () => ["score", model, "--data", model, "--output", output], /is a directory, a file is needed/],
    [
      "a bad limit",
      () => ["score", model, "--data", data, "--output", output, "--max-length", "1"],
      /must be a whole number from 2/,
    ],
    [
      "a folder that cannot be made",
      () => ["score", model, "--data", data, "--output", join(data, "scores.jsonl")],
      /pairs\.jsonl: is a file, not a folder/,
    ],
    [
      "a folder as output",
      () => ["score", model, "--data", data, "--output", folder, "--overwrite"],
      /is a folder, not a file/,
    ],
    [
      "the data as output",
      () => ["score", model, "--data", data, "--output", join(folder, "link"), "--overwrite"],
      /link: is the data itself; choose another --output/,
    ],
    [
      "an output that is there",
      () => ["score", model, "--data", data, "--output", join(folder, "mine")],
      /mine: exists already; replace it with --overwrite, or choose another --output/,
    ],
  ])("%s", async (_, args, message) => {
    await symlink(data, join(folder, "link"));
    await writeFile(join(folder, "mine"), "mine");
    const before = await readdir(folder);
    const content = await readFile(data, "utf8");
    expectOneError(await runHere(...args()), message);
    expect(await readdir(folder)).toEqual(before);
    expect(await readFile(data, "utf8")).toBe(content);
    expect(await readFile(join(folder, "mine"), "utf8")).toBe("mine");
  });
});
