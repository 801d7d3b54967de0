import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { replaceFolderAtomic, writeFileAtomic } from "./file-system.ts";
import { isLeftover, siblingName, tidyLeftovers } from "./leftovers.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "left-"));
});
afterEach(() => rm(folder, { recursive: true }));

const nobody = String(2 ** 22 + 1);
/** What a process leaves beside a path; of this machine unless it says otherwise. */
function left(path: string, kind: "tmp" | "old", { pid = nobody, host }: { pid?: string; host?: string } = {}): string {
  const name = basename(siblingName(path, kind))
    .replace(`-${process.pid}-`, `-${pid}-`)
    .replace(/[0-9a-f]{8}$/, "00000000");
  return host === undefined ? name : name.replace(/[0-9a-f]{8}(?=-\d+-)/, host);
}

test("the next write of a file or folder clears what killed processes left of it", async () => {
  const others = [
    left("c", "tmp"),
    left("a", "tmp", { pid: String(process.ppid) }),
    left("a", "tmp", { host: "01234567" }),
  ];
  for (const name of [left("a", "tmp"), left("b", "tmp"), ...others]) await writeFile(join(folder, name), "half");
  await writeFileAtomic(join(folder, "a"), "whole");
  await replaceFolderAtomic(join(folder, "b"), async () => {});
  expect((await readdir(folder)).sort()).toEqual(["a", "b", ...others].sort());
});

test("what was moved away to be replaced comes back, unless its replacement is there", async () => {
  for (const name of ["a", "b"]) {
    await mkdir(join(folder, left(name, "old")));
    await writeFile(join(folder, left(name, "old"), "file"), "old");
  }
  await mkdir(join(folder, "b"));
  await tidyLeftovers(folder, {});
  expect((await readdir(folder)).sort()).toEqual(["a", "b"]);
  expect(await readFile(join(folder, "a", "file"), "utf8")).toBe("old");
  expect(await readdir(join(folder, "b"))).toEqual([]);
});

test("what failed to replace a folder that a kill had moved away leaves it in its place", async () => {
  await mkdir(join(folder, left("a", "old")));
  await expect(replaceFolderAtomic(join(folder, "a"), () => Promise.reject(new Error("full")))).rejects.toThrow("full");
  expect(await readdir(folder)).toEqual(["a"]);
});

test("alone, everything but its own is left over", async () => {
  const own = siblingName(join(folder, "a"), "tmp");
  const names = [
    left("a", "tmp", { pid: "1" }),
    left("a", "tmp", { host: "01234567" }),
    left("b", "old", { pid: "1" }),
  ];
  for (const name of [...names, basename(own), "a.tmp-1-2", "a.old"]) await writeFile(join(folder, name), "");
  await tidyLeftovers(folder, { alone: true });
  expect((await readdir(folder)).sort()).toEqual([basename(own), "a.tmp-1-2", "a.old", "b"].sort());
  expect(isLeftover(basename(own))).toBe(true);
  expect(isLeftover("a.old")).toBe(false);
});
