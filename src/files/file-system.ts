import { isUtf8 } from "node:buffer";
import { createReadStream, existsSync, lstatSync } from "node:fs";
import {
  access,
  constants,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  statfs,
} from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { UserError } from "../errors.ts";
import { siblingName, tidyLeftovers } from "./leftovers.ts";

/**
 * The content of a file: the content itself, or a function that writes it to the open file piece by
 * piece.
 */
export type FileContent = string | Uint8Array | ((handle: FileHandle) => Promise<void>);

/**
 * Writes a file whole or not at all: to a temporary file beside it, synced to the disk, then
 * renamed over the old one. Missing parent folders are made. If anything fails, the old file stays
 * as it was and the temporary one is removed; what a process that was killed left of the same file
 * goes as well.
 *
 * @throws UserError where the file system refuses; whatever a content function throws.
 */
export async function writeFileAtomic(file: string, content: FileContent): Promise<void> {
  const temporary = siblingName(file, "tmp");
  try {
    await mkdir(dirname(file), { recursive: true });
    await tidyLeftovers(dirname(resolve(file)), { of: basename(file) });
    const handle = await open(temporary, "wx");
    try {
      if (typeof content === "function") await content(handle);
      else await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    await syncFolder(dirname(file));
  } catch (error) {
    await discard(temporary);
    throw asUserError(error, file, "cannot write");
  }
}

/**
 * Replaces a folder and everything in it: `fill` writes the new content into a temporary sibling,
 * which then takes the folder's name. If anything fails, the old folder stays as it was. A crash
 * between the two renames leaves the old folder whole under `<folder>.old-…`, since no portable
 * call swaps two folders at once; see `tidyLeftovers`, which is called first. A symbolic link is
 * followed.
 *
 * @throws UserError where the file system refuses or `folder` is a file; whatever `fill` throws.
 */
export async function replaceFolderAtomic(folder: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const target = await realpath(folder).catch(() => resolve(folder));
  const temporary = siblingName(target, "tmp");
  try {
    await mkdir(dirname(target), { recursive: true });
    await tidyLeftovers(dirname(target), { of: basename(target) });
    const exists = await isFolder(target);
    await mkdir(temporary);
    await fill(temporary);
    await syncTree(temporary);
    if (exists) await swapFolders(temporary, target);
    else await rename(temporary, target);
    await syncFolder(dirname(target));
  } catch (error) {
    await discard(temporary);
    throw asUserError(error, folder, "cannot write");
  }
}

/** Removes a file or a folder. A crash in the middle leaves nothing that passes for the whole. */
export async function removeAtomic(path: string): Promise<void> {
  const aside = siblingName(path, "tmp");
  try {
    await rename(path, aside);
    await rm(aside, { recursive: true, force: true });
  } catch (error) {
    throw asUserError(error, path, "cannot remove");
  }
}

/**
 * True if `path` is a folder; false if nothing is there.
 *
 * @throws UserError if something else is there, or it cannot be seen.
 */
export async function isFolder(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw asUserError(error, path, "cannot read");
  }
  throw new UserError("is a file, not a folder", { file: path });
}

/**
 * Checks that something can be made in a folder that need not be there yet: whether the closest one
 * above that is there may be written to.
 *
 * @param problem what cannot be done otherwise
 * @throws UserError where it may not.
 */
export async function checkWritable(path: string, problem: string): Promise<void> {
  let folder = resolve(path);
  while (!(await isFolder(folder))) folder = dirname(folder);
  await access(folder, constants.W_OK).catch((error) => {
    throw asUserError(error, path, problem);
  });
}

/**
 * Reads a small text file in UTF-8; a byte order mark is skipped.
 *
 * @param most bytes that a file of its kind has at most: what never ends, such as a device, is not
 * read further
 * @param problem what cannot be done where the file system refuses
 * @throws UserError for a file that cannot be read, is longer, or is not UTF-8.
 */
export async function readTextFile(file: string, most: number, problem = "cannot read"): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of createReadStream(file, { highWaterMark: 1 << 20 })) {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes > most) break;
    }
  } catch (error) {
    throw asUserError(error, file, problem);
  }
  const hint = "is it another file under this name?";
  if (bytes > most)
    throw new UserError(`is longer than ${most / 1e6} MB, which no file of its kind is`, { file, hint });
  const content = Buffer.concat(pieces);
  const mark = content.subarray(0, 2).toString("hex");
  if (mark === "fffe" || mark === "feff") {
    throw new UserError("is UTF-16", { file, hint: "save it as UTF-8" });
  }
  if (!isUtf8(content)) throw new UserError("is not UTF-8 text", { file, hint });
  return new TextDecoder().decode(content);
}

/**
 * Bytes that may still be written to the disk of a path that need not be there yet; undefined where
 * the system does not tell. Quotas are not seen.
 */
export async function freeBytes(path: string): Promise<number | undefined> {
  let folder = resolve(path);
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  const found = await statfs(folder).catch(() => undefined);
  // Some network and memory file systems have no blocks to count.
  return found && found.blocks > 0 ? found.bavail * found.bsize : undefined;
}

/** Bytes of all files in and below a path; 0 if nothing is there. */
export async function bytesBelow(path: string): Promise<number> {
  const found = await lstat(path).catch(() => undefined);
  if (!found?.isDirectory()) return found?.size ?? 0;
  const sizes = (await readdir(path)).map((name) => bytesBelow(join(path, name)));
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** True if an error says that the disk, or the user's share of it, is full. */
export function isDiskFull(error: unknown): boolean {
  const code = errorCode(error instanceof UserError ? error.cause : error);
  return code === "ENOSPC" || code === "EDQUOT";
}

/**
 * Turns a refusal of the file system into a UserError naming the file; any other error is returned
 * as it is.
 */
export function asUserError(error: unknown, file: string, problem: string): unknown {
  const code = errorCode(error);
  if (code === undefined || error instanceof UserError) return error;
  if (code === "ENOENT" && lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()) {
    const hint = "was it moved, or not downloaded to its end?";
    return new UserError(`${problem}: it is a link to a file that is not there`, { file, hint, cause: error });
  }
  return new UserError(`${problem}: ${reasons[code] ?? code}`, { file, cause: error });
}

const reasons: Record<string, string> = {
  ENOENT: "no such file or folder",
  ENOTDIR: "a part of the path is a file, not a folder",
  EEXIST: "a part of the path is a file, not a folder",
  EISDIR: "it is a folder, not a file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EROFS: "the disk is read-only",
  EBUSY: "it is in use",
  EMFILE: "too many open files",
};

/** The code of a failed system call, such as `ENOENT`; undefined for any other error. */
function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error && "syscall" in error && "code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

async function swapFolders(temporary: string, target: string): Promise<void> {
  const old = siblingName(target, "old");
  await rename(target, old);
  try {
    await rename(temporary, target);
  } catch (error) {
    await rename(old, target);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}

/**
 * Removes what failed to be written. The error to report is the first one, not one of the removal.
 */
async function discard(temporary: string): Promise<void> {
  await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else await sync(path, "r+");
  }
  await syncFolder(folder);
}

/** Makes a rename survive a power failure. Windows cannot open folders and needs no such call. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform !== "win32") await sync(folder, "r");
}

async function sync(path: string, flags: "r" | "r+"): Promise<void> {
  const handle = await open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
