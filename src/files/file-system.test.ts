import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { asUserError, isFolder, replaceFolderAtomic, writeFileAtomic } from "./file-system.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "files-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("writeFileAtomic", () => {
  test("writes text, bytes and what a function writes, making parent folders", async () => {
    await writeFileAtomic(join(folder, "a/b/text"), "one");
    await writeFileAtomic(join(folder, "bytes"), new Uint8Array([65, 66]));
    await writeFileAtomic(join(folder, "bytes"), async (handle) => void (await handle.write("CD")));
    expect(await readFile(join(folder, "a/b/text"), "utf8")).toBe("one");
    expect(await readFile(join(folder, "bytes"), "utf8")).toBe("CD");
    expect(await readdir(folder)).toEqual(["a", "bytes"]);
  });

  test("an error in the middle leaves the old content and no temporary file", async () => {
    const file = join(folder, "file");
    await writeFileAtomic(file, "old");
    const writing = writeFileAtomic(file, async (handle) => {
      await handle.write("half of the new");
      throw new Error("interrupted");
    });
    await expect(writing).rejects.toThrow("interrupted");
    expect(await readFile(file, "utf8")).toBe("old");
    expect(await readdir(folder)).toEqual(["file"]);
  });

  test("names the file where the file system refuses", async () => {
    await mkdir(join(folder, "taken"));
    await expect(writeFileAtomic(join(folder, "taken"), "")).rejects.toThrow(UserError);
    await writeFile(join(folder, "file"), "");
    const problem = "cannot write: a part of the path is a file, not a folder";
    for (const below of ["file/below", "file/deep/below"]) {
      await expect(writeFileAtomic(join(folder, below), "")).rejects.toThrow(`${below}: ${problem}`);
    }
    expect(await readdir(folder)).toEqual(["file", "taken"]);
  });
});

describe("replaceFolderAtomic", () => {
  const fill = (content: string) => async (temporary: string) => {
    await mkdir(join(temporary, "inner"));
    await writeFile(join(temporary, "inner", "file"), content);
  };

  test("makes a folder, and replaces all of one", async () => {
    const target = join(folder, "made/target");
    await replaceFolderAtomic(target, fill("old"));
    await writeFile(join(target, "stale"), "");
    await replaceFolderAtomic(target, fill("new"));
    expect(await readdir(target, { recursive: true })).toEqual(["inner", join("inner", "file")]);
    expect(await readFile(join(target, "inner/file"), "utf8")).toBe("new");
    expect(await readdir(join(folder, "made"))).toEqual(["target"]);
  });

  test("an error in the middle leaves the old folder and no temporary one", async () => {
    const target = join(folder, "target");
    await replaceFolderAtomic(target, fill("old"));
    const replacing = replaceFolderAtomic(target, async (temporary) => {
      await writeFile(join(temporary, "half"), "");
      throw new Error("interrupted");
    });
    await expect(replacing).rejects.toThrow("interrupted");
    expect(await readFile(join(target, "inner/file"), "utf8")).toBe("old");
    expect(await readdir(folder)).toEqual(["target"]);
  });

  test("follows a symbolic link and refuses a file", async () => {
    await mkdir(join(folder, "target"));
    await symlink("target", join(folder, "link"));
    await replaceFolderAtomic(join(folder, "link"), fill("new"));
    expect(await readFile(join(folder, "target/inner/file"), "utf8")).toBe("new");
    await writeFile(join(folder, "file"), "kept");
    await expect(replaceFolderAtomic(join(folder, "file"), fill("new"))).rejects.toThrow("is a file, not a folder");
    expect(await readdir(folder)).toEqual(["file", "link", "target"]);
  });
});

test("isFolder", async () => {
  expect(await isFolder(folder)).toBe(true);
  expect(await isFolder(join(folder, "missing"))).toBe(false);
});

test("only refusals of the file system become user errors", async () => {
  const refusal = await readFile(join(folder, "missing")).catch((error) => error);
  expect(asUserError(refusal, "weights", "cannot read")).toEqual(
    new UserError("cannot read: no such file or folder", { file: "weights" }),
  );
  const fault = new TypeError("ours");
  expect(asUserError(fault, "weights", "cannot read")).toBe(fault);
});
