/**
 * What a run's folder may be found in: used by another process, looked into by a desktop, left by a
 * process that was killed.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { FileLock } from "../src/files/lock.ts";
import { lockName } from "../src/runs/run-folder.ts";
import { hashes, pairRecords, temporaryFolder, trainTiny, weightsHash, writeJsonLines } from "./helpers/runs.ts";

let folder: string;
let run: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  run = join(folder, "run");
  await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(8));
});

const train = (steps: number, options: Parameters<typeof trainTiny>[2] = {}) => trainTiny(folder, { steps }, options);
const leftover = (name: string, kind: "tmp" | "old") => `${name}.${kind}-01234567-1-0123abcd`;

test("of two runs that begin at the same time in one folder, one is refused and the other is whole", async () => {
  const settled = await Promise.allSettled([train(3), train(3), train(3, { overwrite: true })]);
  const refused = settled.filter(({ status }) => status === "rejected");
  expect(refused).toHaveLength(2);
  for (const { reason } of refused as PromiseRejectedResult[]) {
    expect(reason.message).toMatch(/\/run: in use by this process since \d{4}-/);
  }
  const records = (await readFile(join(run, "metrics.jsonl"), "utf8")).trim().split("\n");
  expect(records).toHaveLength(3);
  expect(await readdir(run)).not.toContain(lockName);
});

test.each([{}, { resume: true }, { overwrite: true }])("a folder in use stays as it is (%o)", async (options) => {
  await train(1);
  const lock = await FileLock.take(join(run, lockName), run);
  const before = await hashes(run);
  await expect(train(2, options)).rejects.toThrow("/run: in use by this process since ");
  expect(await hashes(run)).toEqual(before);
  await lock.release();
});

test("files that desktops leave count as nothing", async () => {
  const leave = async (...folders: string[]) => {
    for (const path of folders) {
      for (const name of [".DS_Store", "Thumbs.db", "desktop.ini", "._model.safetensors"]) {
        await writeFile(join(path, name), "");
      }
    }
  };
  await mkdir(run);
  await leave(run);
  await train(1);
  await leave(run, join(run, "model"), join(run, "checkpoints"), join(run, "checkpoints", "step-00000001"));
  const { result } = await train(2, { resume: true });
  expect(result.step).toBe(2);
  await leave(run, join(run, "model"), join(run, "checkpoints"));
  await train(1, { overwrite: true });
  expect(existsSync(join(run, "checkpoints", "step-00000002"))).toBe(false);
});

test("a run killed before its first checkpoint says how to start again", async () => {
  await train(1);
  await rm(join(run, "model"), { recursive: true });
  await rm(join(run, "checkpoints"), { recursive: true });
  await expect(train(1)).rejects.toThrow(
    "/run: holds a run that ended before its first checkpoint; start it again with `overwrite`",
  );
  await expect(train(1, { resume: true })).rejects.toThrow(
    "there is no checkpoint to resume from; start the run again, with `overwrite` instead of `resume`",
  );
  expect((await train(1, { overwrite: true })).result.status).toBe("finished");
});

test("a folder with nothing but leftovers is an empty one", async () => {
  await mkdir(run);
  await writeFile(join(run, leftover("recipe.yaml", "tmp")), "half");
  await expect(train(1, { resume: true })).rejects.toThrow("there is no run to resume; start it without `resume`");
  await writeFile(join(run, leftover("recipe.yaml", "tmp")), "half");
  expect((await train(1)).result.status).toBe("finished");
  expect((await readdir(run)).sort()).toEqual(["checkpoints", "metrics.jsonl", "model", "recipe.yaml"]);
});

test("a kill between the two renames of a checkpoint or a model leaves both to be found again", async () => {
  await train(2);
  const model = await weightsHash(join(run, "model"));
  const checkpoints = join(run, "checkpoints");
  await rename(join(checkpoints, "step-00000002"), join(checkpoints, leftover("step-00000002", "old")));
  await rename(join(run, "model"), join(run, leftover("model", "old")));
  await mkdir(join(run, leftover("model", "tmp")));
  const { result } = await train(2, { resume: true });
  expect(result).toMatchObject({ status: "finished", step: 2 });
  expect(await weightsHash(join(run, "model"))).toBe(model);
  expect((await readdir(run)).sort()).toEqual(["checkpoints", "metrics.jsonl", "model", "recipe.yaml"]);
  expect(await readdir(checkpoints)).toEqual(["step-00000002"]);
});

test("an overwriting that was killed half-way can be done again", async () => {
  await train(2);
  // The recipe goes last.
  await rename(join(run, "model"), join(run, leftover("model", "tmp")));
  await rm(join(run, "metrics.jsonl"));
  await rm(join(run, "checkpoints"), { recursive: true });
  await train(1, { overwrite: true });
  expect((await readdir(run)).sort()).toEqual(["checkpoints", "metrics.jsonl", "model", "recipe.yaml"]);
});
