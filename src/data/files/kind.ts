/** The kind of a file by its first bytes. They tell more than its name, which people change. */
import { UserError } from "../../errors.ts";

/** Bytes at the beginning of a file that the functions here look at. */
export const headLength = 4096;

export function isGzip(head: Buffer): boolean {
  return startsWith(head, "\x1f\x8b");
}

export function isParquet(head: Buffer): boolean {
  return startsWith(head, "PAR1");
}

/**
 * The encoding of a text: by its byte order mark, or by zeros beside the bracket that JSON begins
 * with.
 */
export function encodingOf(head: Buffer): "utf-8" | "utf-16le" | "utf-16be" {
  if (startsWith(head, "\xff\xfe") || isZeroBeside(head, 0, 1)) return "utf-16le";
  if (startsWith(head, "\xfe\xff") || isZeroBeside(head, 1, 0)) return "utf-16be";
  return "utf-8";
}

const unpack = "unpack it first";
const asJsonLines = "write it as JSON Lines";

/** Kinds of file that hold data for others, by their first bytes, and what to do with them. */
const foreignKinds: readonly (readonly [beginning: string, kind: string, hint: string])[] = [
  ["version https://git-lfs", "a Git LFS pointer, not the data", "run `git lfs pull` where it was cloned"],
  ["PK\x03\x04", "a ZIP archive", `${unpack} (\`unzip\`)`],
  ["\x28\xb5\x2f\xfd", "packed with Zstandard", `${unpack} (\`zstd -d\`)`],
  ["BZh91AY&SY", "packed with bzip2", `${unpack} (\`bunzip2\`)`],
  ["\xfd7zXZ\0", "packed with xz", `${unpack} (\`unxz\`)`],
  ["7z\xbc\xaf", "a 7-Zip archive", unpack],
  ["ARROW1\0\0", "an Arrow file", asJsonLines],
  ["\xff\xff\xff\xff", "an Arrow stream", asJsonLines],
  ["Obj\x01", "an Avro file", asJsonLines],
  ["SQLite format 3\0", "an SQLite database", asJsonLines],
  ["\x80\x04\x95", "a Python pickle, which could run any program", asJsonLines],
  ["\x89HDF\r\n", "an HDF5 file", asJsonLines],
  ["\xff\xfe\0\0", "text in UTF-32", "store it as UTF-8"],
  ["\0\0\xfe\xff", "text in UTF-32", "store it as UTF-8"],
];

/** Throws a `UserError` for a kind of file that is known and not read here. */
export function refuseForeignKind(head: Buffer, file: string): void {
  const found = foreignKinds.find(([beginning]) => startsWith(head, beginning));
  if (found) throw new UserError(`is ${found[1]}`, { file, hint: found[2] });
  if (head.toString("latin1", 257, 262) === "ustar")
    throw new UserError("is a tar archive", { file, hint: `${unpack} (\`tar -x\`)` });
}

/** The kind of text that something other than JSON seems to be. */
export function foreignText(head: Buffer): string | undefined {
  const text = latin1(head).trimStart();
  if (text.startsWith("<")) return "a web page or XML";
  return /^[^\n{[]*[,\t;][^\n]*\n/.test(text) ? "a table such as CSV" : undefined;
}

function isZeroBeside(head: Buffer, character: number, zero: number): boolean {
  return head[zero] === 0 && head.length > 1 && "{[ \r\n\t".includes(String.fromCharCode(head[character]!));
}

function startsWith(head: Buffer, beginning: string): boolean {
  return latin1(head).startsWith(beginning);
}

function latin1(head: Buffer): string {
  return head.toString("latin1", 0, headLength);
}
