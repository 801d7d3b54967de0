/**
 * The bytes of a file of tokens: a name for the format, a SHA-256 of all that follows, then 32-bit
 * numbers in the machine's order: how many lists of tokens there are, the length of each, and their
 * ids one list after the other.
 */
import { createHash } from "node:crypto";

/**
 * The version is part of the name; see also `columnKey`, which a change of what is remembered must
 * change.
 */
const format = Buffer.from("tokenwise tokens 1\n");
const checksumBytes = 32;
const headBytes = format.length + checksumBytes;
const wordBytes = 4;

export function encodeTokenFile(lists: readonly Int32Array[]): Uint8Array {
  const bytes = new Uint8Array(tokenFileBytes(lists));
  const words = new Int32Array(1 + lists.length + lists.reduce((sum, { length }) => sum + length, 0));
  words[0] = lists.length;
  let place = 1 + lists.length;
  for (const [index, list] of lists.entries()) {
    words[1 + index] = list.length;
    words.set(list, place);
    place += list.length;
  }
  const body = new Uint8Array(words.buffer);
  bytes.set(format);
  bytes.set(checksum(body), format.length);
  bytes.set(body, headBytes);
  return bytes;
}

/** The size of the file that holds these lists. */
export function tokenFileBytes(lists: readonly Int32Array[]): number {
  return lists.reduce((sum, { length }) => sum + (1 + length) * wordBytes, headBytes + wordBytes);
}

/**
 * The lists in a file's bytes; undefined if it is damaged, of another format, or does not hold
 * `count` lists.
 */
export function decodeTokenFile(bytes: Uint8Array, count: number): Int32Array[] | undefined {
  if (bytes.length < headBytes + wordBytes || (bytes.length - headBytes) % wordBytes !== 0) return undefined;
  const body = bytes.subarray(headBytes);
  if (!format.equals(bytes.subarray(0, format.length))) return undefined;
  if (!checksum(body).equals(bytes.subarray(format.length, headBytes))) return undefined;
  // A copy, for the numbers need an address that is a multiple of their size.
  const words = new Int32Array(new Uint8Array(body).buffer);
  if (words[0] !== count) return undefined;
  let place = 1 + count;
  return Array.from(words.subarray(1, 1 + count), (length) => {
    place += length;
    return words.subarray(place - length, place);
  });
}

function checksum(body: Uint8Array): Buffer {
  return createHash("sha256").update(body).digest();
}
