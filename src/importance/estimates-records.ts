import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { asUserError } from "../files/file-system.ts";
import { bytesOf } from "../number-formats.ts";
import type { PairEstimate } from "./estimate.ts";
import { columns, lengthOf, pairOf, parts } from "./estimates-file.ts";

/**
 * Words of 32 bits before the numbers of a record: a checksum of all that follows, and the length
 * of each part.
 */
const headWords = 1 + parts.length;
const wordBytes = 4;

/** A pair as it lies in an unfinished file: the head, then its share of each column. */
export function encodeRecord(pair: PairEstimate): Uint8Array {
  const lengths = parts.map((part) => lengthOf(pair, part));
  const record = Buffer.concat([
    bytesOf(new Int32Array([0, ...lengths])),
    ...columns.map((column) => bytesOf(column.of(pair))),
  ]);
  record.writeInt32LE(checksum(record));
  return record;
}

/**
 * Reads records up to the first that is not whole: the end of a file can be cut off or, after a
 * power failure, be zeros.
 *
 * @param range.end the byte to stop before; the file's end if absent
 * @returns some megabytes of pairs at a time, with the bytes that their records take
 * @throws UserError if the file cannot be read.
 */
export async function* readRecords(
  file: string,
  { start, end = Number.POSITIVE_INFINITY }: { start: number; end?: number },
): AsyncGenerator<{ pairs: PairEstimate[]; bytes: number }> {
  let rest = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(file, { start, end: end - 1, highWaterMark: 4 << 20 })) {
      rest = Buffer.concat([rest, chunk]);
      const pairs: PairEstimate[] = [];
      let bytes = 0;
      for (let size = recordBytes(rest); bytes + size <= rest.length; size = recordBytes(rest.subarray(bytes))) {
        const pair = decodeRecord(rest.subarray(bytes, bytes + size));
        if (!pair) {
          yield { pairs, bytes };
          return;
        }
        pairs.push(pair);
        bytes += size;
      }
      yield { pairs, bytes };
      rest = rest.subarray(bytes);
    }
  } catch (error) {
    throw asUserError(error, file, "cannot read");
  }
}

/** The bytes of the record that begins here, infinite if not even its head is there. */
function recordBytes(bytes: Buffer): number {
  if (bytes.length < headWords * wordBytes) return Number.POSITIVE_INFINITY;
  return columns.reduce((sum, { part }) => sum + partLength(bytes, part) * wordBytes, headWords * wordBytes);
}

function partLength(record: Buffer, part: (typeof parts)[number]): number {
  return record.readUInt32LE((1 + parts.indexOf(part)) * wordBytes);
}

/**
 * The pair of a record, undefined if its checksum differs. Its arrays share only the memory of this
 * record.
 */
function decodeRecord(record: Buffer): PairEstimate | undefined {
  if (record.readInt32LE() !== checksum(record)) return undefined;
  const { buffer } = new Uint8Array(record);
  let position = headWords * wordBytes;
  return pairOf(
    columns.map(({ part, dtype }) => {
      const length = partLength(record, part);
      const begin = position;
      position += length * wordBytes;
      return dtype === "I32" ? new Int32Array(buffer, begin, length) : new Float32Array(buffer, begin, length);
    }),
  );
}

function checksum(record: Buffer): number {
  return createHash("sha256").update(record.subarray(wordBytes)).digest().readInt32LE();
}
