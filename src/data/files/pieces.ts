import { UserError } from "../../errors.ts";

/** The bytes of one record in a text file, and the line (from 1) on which it begins. */
export interface Piece {
  readonly line: number;
  readonly bytes: Buffer;
}

const newline = 0x0a;
const quote = 0x22;
const comma = 0x2c;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const byteOrderMark = Buffer.from("\ufeff");

/** JSON Lines: one piece for every line that is not blank. A byte order mark at the start is left out. */
export async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Piece> {
  let line = 1;
  let parts: Buffer[] = [];
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      yield* piece(line++, [...parts, chunk.subarray(start, end)]);
      parts = [];
      start = end + 1;
    }
    parts.push(chunk.subarray(start));
  }
  yield* piece(line, parts);

  function* piece(line: number, parts: Buffer[]): Generator<Piece> {
    const whole = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    const bytes = line === 1 && whole.subarray(0, 3).equals(byteOrderMark) ? whole.subarray(3) : whole;
    if (!bytes.every(isBlank)) yield { line, bytes };
  }
}

/**
 * A JSON array: one piece for every element, found by its brackets alone; whether the element is valid is for the parser to say.
 *
 * Throws a `UserError` if the array does not end, or is not the last thing in the file.
 */
export async function* splitArray(chunks: AsyncIterable<Buffer>, file: string): AsyncGenerator<Piece> {
  let line = 1;
  let elementLine: number | undefined; // undefined: nothing but blanks so far
  let depth = 0;
  let inString = false;
  let escaped = false;
  let elements = 0;
  let ended = false;
  let parts: Buffer[] = [];

  for await (const chunk of chunks) {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (byte === newline) line++;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === backslash) escaped = true;
        else if (byte === quote) inString = false;
        continue;
      }
      if (isBlank(byte)) continue;
      if (ended) throw new UserError("there is more text after the end of the array", { file, line });
      if (depth === 0) {
        if (byte === openBracket) [depth, start] = [1, at + 1];
        continue;
      }
      const closes = byte === closeBracket || byte === closeBrace;
      if (depth === 1 && (byte === comma || closes)) {
        ended = closes;
        if (elementLine !== undefined || elements > 0 || !ended) {
          yield { line: elementLine ?? line, bytes: Buffer.concat([...parts, chunk.subarray(start, at)]) };
        }
        [parts, start, elementLine] = [[], at + 1, undefined];
        elements++;
        continue;
      }
      elementLine ??= line;
      if (byte === quote) inString = true;
      else if (byte === openBracket || byte === openBrace) depth++;
      else if (closes) depth--;
    }
    parts.push(chunk.subarray(start));
  }
  if (!ended) throw new UserError("the array is not closed; is the file cut off?", { file, line: elementLine ?? line });
}

/** Whether the text begins with `[`, and the same chunks from the beginning again. */
export async function startsWithArray(
  chunks: AsyncIterable<Buffer>,
): Promise<{ isArray: boolean; chunks: AsyncIterable<Buffer> }> {
  const rest = chunks[Symbol.asyncIterator]();
  const seen: Buffer[] = [];
  let first: number | undefined;
  while (first === undefined) {
    const { value, done } = await rest.next();
    if (done) break;
    seen.push(value);
    first = value.find((byte, index) => !isBlank(byte) && !(seen.length === 1 && byteOrderMark[index] === byte));
  }
  async function* again(): AsyncGenerator<Buffer> {
    yield* seen;
    yield* { [Symbol.asyncIterator]: () => rest };
  }
  return { isArray: first === openBracket, chunks: again() };
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === newline || byte === 0x0d || byte === 0x09;
}
