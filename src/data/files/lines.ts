import { checkBlanks, checkRecordLength } from "./record-limit.ts";

/** The bytes of one record in a text file, and the line (from 1) on which it begins. */
export interface Piece {
  readonly line: number;
  readonly bytes: Buffer;
}

const newline = 0x0a;

/**
 * One piece for every line that is not blank.
 *
 * @throws UserError for a line that is too long, and for too many blank ones in a row.
 */
export async function* splitLines(chunks: AsyncIterable<Buffer>, file: string): AsyncGenerator<Piece> {
  let line = 1;
  let blanks = 0;
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let start = 0;
    while (start < chunk.length) {
      if (length === 0 && chunk[start] === newline) {
        // Without a call for each: a file may hold very many.
        line++;
        start++;
        blanks++;
        continue;
      }
      const end = chunk.indexOf(newline, start);
      const part = chunk.subarray(start, end < 0 ? chunk.length : end);
      length += part.length;
      checkRecordLength(length, { file, line });
      parts.push(part);
      if (end < 0) break;
      yield* piece();
      start = end + 1;
      line++;
    }
    checkBlanks(blanks, { file, line });
  }
  yield* piece();

  function* piece(): Generator<Piece> {
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    parts = [];
    length = 0;
    if (bytes.every(isBlank)) {
      blanks += bytes.length;
      return;
    }
    blanks = 0;
    yield { line, bytes };
  }
}

/** True if a byte is one of the blanks that JSON knows. */
export function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === newline || byte === 0x0d || byte === 0x09;
}
