import { UserError } from "../../errors.ts";
import { isBlank, type Piece } from "./lines.ts";
import { checkBlanks, checkRecordLength } from "./record-limit.ts";

const newline = 0x0a;
const quote = 0x22;
const comma = 0x2c;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * JSON values that do not keep to lines: one piece for each element of an array, or for each of
 * several objects one after the other. They are found by their brackets alone; whether they are
 * valid is for the parser to say.
 *
 * @param layout `array`: the elements of the one array that the text is; `objects`: the objects
 * that it is
 * @throws UserError for an array or object that does not end, for anything beside it, and for
 * elements that are too long.
 */
export async function* splitBrackets(
  chunks: AsyncIterable<Buffer>,
  layout: "array" | "objects",
  file: string,
): AsyncGenerator<Piece> {
  const isArray = layout === "array";
  /** The number of open brackets around an element. */
  const outside = isArray ? 1 : 0;
  let line = 1;
  let elementLine: number | undefined; // undefined: nothing but blanks so far
  let depth = 0;
  let inString = false;
  let escaped = false;
  let elements = 0;
  let ended = !isArray;
  let parts: Buffer[] = [];
  let length = 0; // of the element, or of the blanks before it, without this chunk

  for await (const chunk of chunks) {
    let start = 0;
    const finish = (end: number): Piece => {
      const bytes = Buffer.concat([...parts, chunk.subarray(start, end)]);
      const piece = { line: elementLine ?? line, bytes };
      [parts, length, start, elementLine] = [[], 0, end, undefined];
      elements++;
      return piece;
    };
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
      if (depth < outside) {
        if (ended) throw new UserError("there is more text after the end of the array", { file, line });
        [depth, start] = [1, at + 1];
        continue;
      }
      const opens = byte === openBracket || byte === openBrace;
      const closes = byte === closeBracket || byte === closeBrace;
      if (depth === outside && isArray && (byte === comma || closes)) {
        if (elementLine !== undefined || elements > 0 || !closes) yield finish(at);
        start = at + 1;
        if (closes) [ended, depth] = [true, 0];
        continue;
      }
      if (depth === outside && !isArray && byte !== openBrace) {
        // A comma between objects is a common slip that leaves no doubt.
        if (byte === comma && elements > 0) {
          start = at + 1;
          continue;
        }
        throw new UserError("there is something between two objects", {
          file,
          line,
          hint: "one object after another is needed",
        });
      }
      elementLine ??= line;
      if (byte === quote) inString = true;
      else if (opens) depth++;
      else if (closes) {
        depth--;
        if (depth === 0 && !isArray) yield finish(at + 1);
      }
    }
    const rest = chunk.subarray(start);
    length += rest.length;
    if (elementLine === undefined) checkBlanks(length, { file, line });
    else {
      checkRecordLength(length, { file, line: elementLine });
      parts.push(rest);
    }
  }
  if (isArray ? !ended : depth > 0) {
    const what = isArray ? "array" : "object";
    throw new UserError(`the ${what} is not closed; is the file cut off?`, { file, line: elementLine ?? line });
  }
}
