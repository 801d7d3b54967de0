/**
 * A disk without room: a run is refused before it begins, and a checkpoint that does not fit does
 * not end it.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import type * as files from "../src/files/file-system.ts";
import { folderWithBase, trainTiny, weightsHash } from "./helpers/runs.ts";

/** Free bytes; and how many folders may still be written before the disk is full. */
const disk = vi.hoisted(() => ({ free: undefined as number | undefined, folders: Number.POSITIVE_INFINITY }));

vi.mock("../src/files/file-system.ts", async (importOriginal) => {
  const original = await importOriginal<typeof files>();
  const replaceFolderAtomic: typeof files.replaceFolderAtomic = (folder, fill) =>
    original.replaceFolderAtomic(folder, async (temporary) => {
      await fill(temporary);
      if (--disk.folders < 0) throw Object.assign(new Error("no space left"), { code: "ENOSPC", syscall: "write" });
    });
  return { ...original, freeBytes: async () => disk.free ?? original.freeBytes("."), replaceFolderAtomic };
});

beforeEach(() => Object.assign(disk, { free: undefined, folders: Number.POSITIVE_INFINITY }));

test("a run that has no room is refused, and nothing is written or removed", async () => {
  const { folder, base, data } = await folderWithBase();
  const settings = { model: base, data, output: join(folder, "run"), steps: 1 };
  const first = await trainTiny(folder, settings);
  const model = await weightsHash(first.result.model!);
  disk.free = 1000;
  const other = { ...settings, output: join(folder, "other") };
  await expect(trainTiny(folder, other)).rejects.toThrow(
    /output: the disk is too full: two checkpoints and the model take 1 MiB, 1 MiB are free; free some, or choose/,
  );
  expect(await readdir(folder)).not.toContain("other");
  expect(await weightsHash(first.result.model!)).toBe(model);
  // What is overwritten makes room.
  disk.free = (await bytesOf(first.result.checkpoint!)) * 1.5;
  await expect(trainTiny(folder, other)).rejects.toThrow(/the disk is too full/);
  expect((await trainTiny(folder, settings, { overwrite: true })).result.status).toBe("finished");
});

test.each(["is seen before", "shows in writing"])("a full disk that %s leaves the last checkpoint", async (how) => {
  const { folder, base, data } = await folderWithBase();
  const settings = { model: base, data, steps: 4, checkpoints: { everySteps: 1 } };
  const whole = await trainTiny(folder, { ...settings, output: join(folder, "whole") });
  const controller = new AbortController();
  const run = trainTiny(
    folder,
    { ...settings, output: join(folder, "run") },
    {
      signal: controller.signal,
      reporter: {
        note() {},
        progress() {},
        warn: (message) => warnings.push(message),
        record({ split, step }) {
          if (split !== "train") return;
          if (step === 2 && how === "is seen before") disk.free = 1000;
          if (step === 2 && how !== "is seen before") disk.folders = 0;
          if (step === 3) controller.abort();
        },
      },
    },
  );
  const warnings: string[] = [];
  const { result } = await run;
  expect(result).toMatchObject({ status: "stopped", step: 3 });
  expect(result.checkpoint).toMatch(/step-00000001$/);
  for (const step of [2, 3]) {
    const warning = warnings.find((text) => text.startsWith(`no checkpoint of step ${step}, for the disk is full`));
    expect(warning).toMatch(/; the last one stays$/);
  }
  expect(await readdir(join(folder, "run", "checkpoints"))).toEqual(["step-00000001"]);
  Object.assign(disk, { free: undefined, folders: Number.POSITIVE_INFINITY });
  const again = await trainTiny(folder, { ...settings, output: join(folder, "run") }, { resume: true });
  expect(await weightsHash(again.result.model!)).toBe(await weightsHash(whole.result.model!));
});

test("a checkpoint that was skipped is written after all when there is room before the next step", async () => {
  const { folder, base, data } = await folderWithBase();
  const controller = new AbortController();
  const settings = { model: base, data, output: join(folder, "run"), steps: 4, checkpoints: { everySteps: 1 } };
  const { result } = await trainTiny(folder, settings, {
    signal: controller.signal,
    reporter: {
      note() {},
      progress() {},
      record({ step }) {
        if (step === 2) disk.free = 1000;
      },
      warn(message) {
        if (!message.startsWith("no checkpoint of step 2")) return;
        disk.free = undefined;
        controller.abort();
      },
    },
  });
  expect(result).toMatchObject({ status: "stopped", step: 2 });
  expect(result.checkpoint).toMatch(/step-00000002$/);
});

test("a disk that is full at the very end: the error says how to come by the model", async () => {
  const { folder, base, data } = await folderWithBase();
  const settings = { model: base, data, steps: 2, checkpoints: { everySteps: 1 } };
  const whole = await trainTiny(folder, { ...settings, output: join(folder, "whole") });
  const output = join(folder, "run");
  // A checkpoint is a folder with another one for its model.
  disk.folders = 2;
  await expect(trainTiny(folder, { ...settings, output })).rejects.toThrow(
    /run\/model: the disk is too full for the trained model, .*; make room, and continue .*resume.* from step-00000001$/,
  );
  disk.folders = Number.POSITIVE_INFINITY;
  const resumed = await trainTiny(folder, { ...settings, output }, { resume: true });
  expect(await weightsHash(resumed.result.model!)).toBe(await weightsHash(whole.result.model!));
  disk.folders = 0;
  await expect(trainTiny(folder, { ...settings, output: join(folder, "none") })).rejects.toThrow(
    /there is no checkpoint to go on from: make room, and start the run again with .*overwrite/,
  );
});

async function bytesOf(path: string): Promise<number> {
  const { bytesBelow } = await import("../src/files/file-system.ts");
  return bytesBelow(path);
}
