import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { UserError } from "../../errors.ts";

/** Throws a `UserError` for a file that is missing, not readable, a directory, empty, or only the pointer to a large file. */
export async function checkFile(file: string): Promise<void> {
  const head = Buffer.alloc(64);
  try {
    const handle = await open(file);
    try {
      if ((await handle.stat()).isDirectory()) throw new UserError("is a directory, a file is needed", { file });
      const { bytesRead } = await handle.read(head, 0, head.length, 0);
      if (bytesRead === 0) throw new UserError("is empty", { file });
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(describeSystemError(cause), { file, cause });
  }
  if (head.toString("latin1").startsWith("version https://git-lfs")) {
    throw new UserError("is a Git LFS pointer, not the data", { file, hint: "run `git lfs pull` where it was cloned" });
  }
}

/**
 * The bytes of a file, chunk by chunk, unpacked if its name ends in `.gz`.
 *
 * Throws a `UserError` where the file cannot be read to its end, a broken or cut gzip included.
 */
export async function* readBytes(file: string): AsyncGenerator<Buffer> {
  await checkFile(file);
  const compressed = file.endsWith(".gz");
  const source = createReadStream(file);
  // `pipeline` also closes the file when the reader stops early; errors reach the loop below.
  const bytes = compressed ? pipeline(source, createGunzip(), () => {}) : source;
  try {
    yield* bytes as AsyncIterable<Buffer>;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UserError(compressed ? `cannot be unpacked as gzip: ${reason}` : describeSystemError(cause), {
      file,
      cause,
    });
  }
}

function describeSystemError(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES" || code === "EPERM") return "may not be read (permission denied)";
  return `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
}
