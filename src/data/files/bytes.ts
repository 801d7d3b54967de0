import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { UserError } from "../../errors.ts";
import { encodingOf, headLength, isGzip, isParquet, refuseForeignKind } from "./kind.ts";
import { utf8FromUtf16 } from "./utf16.ts";

/**
 * The first bytes of a file.
 *
 * @throws UserError for a file that is missing, not readable, a directory, empty, or of a kind that
 * is known and not read.
 */
export async function readHead(file: string): Promise<Buffer> {
  const head = await bytesAt(file, 0, headLength);
  if (head.length === 0) throw new UserError("is empty", { file });
  refuseForeignKind(head, file);
  return head;
}

/** The text of a file: its first bytes, and all of it again as chunks. */
export interface TextBytes {
  /** At least `headLength` bytes, if the text has so many. */
  readonly head: Buffer;
  /** UTF-8 without a byte order mark, if the file is what it should be. */
  readonly chunks: AsyncIterable<Buffer>;
}

/**
 * Opens a file as text: unpacked if it is gzip, whatever its name, and recoded if it is UTF-16.
 *
 * @throws UserError where the file cannot be read to its end, a broken or cut gzip included, and
 * for what is no text.
 */
export async function openText(file: string): Promise<TextBytes> {
  const packed = isGzip(await readHead(file));
  const bytes = await peeked(packed ? unpacked(file) : plain(file));
  const inside = packed ? isGzip(bytes.head) || isParquet(bytes.head) : false;
  if (inside) throw new UserError("holds a packed file inside gzip", { file, hint: "unpack it once (`gunzip`)" });
  refuseForeignKind(bytes.head, file);
  const encoding = encodingOf(bytes.head);
  return encoding === "utf-8" ? bytes : peeked(utf8FromUtf16(bytes.chunks, encoding, file));
}

async function* plain(file: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(file) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new UserError(describeSystemError(cause), { file, cause });
  }
}

async function* unpacked(file: string): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: 2 ** 16 });
  try {
    // `pipeline` also closes the file when the reader stops early; errors reach the loop.
    yield* pipeline(createReadStream(file), gunzip, () => {}) as AsyncIterable<Buffer>;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UserError(`cannot be unpacked as gzip: ${reason}`, { file, cause });
  }
  // The library passes over what follows the last member. Zeros are padding, anything else is data
  // that was lost.
  for (let at = gunzip.bytesWritten; ; at += headLength) {
    const rest = await bytesAt(file, at, headLength);
    if (rest.length === 0) return;
    if (rest.some((byte) => byte !== 0))
      throw new UserError("has bytes behind its end that are no gzip", { file, hint: "is the file damaged?" });
  }
}

/** The same chunks, without a byte order mark of UTF-8, and the first of their bytes. */
async function peeked(chunks: AsyncIterable<Buffer>): Promise<TextBytes> {
  const rest = chunks[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < headLength) {
    const { value, done } = await rest.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  const text = head.subarray(0, 3).equals(byteOrderMark) ? head.subarray(3) : head;
  async function* again(): AsyncGenerator<Buffer> {
    try {
      yield text;
      yield* { [Symbol.asyncIterator]: () => rest };
    } finally {
      // Also if the reader stops at the first chunk.
      await rest.return?.();
    }
  }
  return { head: text, chunks: again() };
}

const byteOrderMark = Buffer.from("\ufeff");

async function bytesAt(file: string, position: number, length: number): Promise<Buffer> {
  try {
    const handle = await open(file);
    try {
      if ((await handle.stat()).isDirectory()) throw new UserError("is a directory, a file is needed", { file });
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, position);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(describeSystemError(cause), { file, cause });
  }
}

function describeSystemError(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES" || code === "EPERM") return "may not be read (permission denied)";
  return `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
}
