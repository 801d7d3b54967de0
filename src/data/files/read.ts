/**
 * Records of a data file, one at a time.
 *
 * `.jsonl` and `.ndjson` hold one JSON object per line, `.json` an array of objects (or one per line), each also as `.gz`; `.parquet` holds
 * rows. A record that cannot be understood does not end the stream: it comes as a `problem`, so that the reader of the stream can stop there
 * or count it. What makes the rest of the file unreadable is thrown.
 */
import { UserError } from "../../errors.ts";
import { readBytes } from "./bytes.ts";
import { readParquet } from "./parquet.ts";
import { type Piece, splitArray, splitLines, startsWithArray } from "./pieces.ts";

/** Where a record stands. Lines count from 1; in a Parquet file it is the number of the row. */
export interface RecordPlace {
  readonly file: string;
  readonly line: number;
}

/** The columns of a record by name. */
export type Fields = Readonly<Record<string, unknown>>;

export type SourceRecord =
  /** `unread`: columns of the file that were not asked for, and left unread. */
  | { readonly place: RecordPlace; readonly fields: Fields; readonly unread?: readonly string[] }
  /** `field`: the column to blame. */
  | { readonly place: RecordPlace; readonly problem: string; readonly field?: string };

/**
 * Streams the records of a file.
 *
 * @param options.columns The only columns needed: a Parquet file then leaves the others unread.
 * @throws UserError for a missing, empty, damaged or unknown kind of file, and for one that holds no records.
 */
export async function* readRecords(
  file: string,
  options: { columns?: readonly string[] } = {},
): AsyncGenerator<SourceRecord> {
  let count = 0;
  for await (const record of file.endsWith(".parquet") ? parquetRecords(file, options.columns) : jsonRecords(file)) {
    count++;
    yield record;
  }
  if (count === 0) throw new UserError("holds no records", { file });
}

async function* parquetRecords(file: string, columns?: readonly string[]): AsyncGenerator<SourceRecord> {
  for await (const { row, fields, unread } of readParquet(file, columns))
    yield { place: { file, line: row }, fields, unread };
}

async function* jsonRecords(file: string): AsyncGenerator<SourceRecord> {
  for await (const { line, bytes } of await jsonPieces(file)) {
    yield { place: { file, line }, ...parseRecord(bytes) };
  }
}

async function jsonPieces(file: string): Promise<AsyncIterable<Piece>> {
  if (/\.(jsonl|ndjson)(\.gz)?$/.test(file)) return splitLines(readBytes(file));
  if (/\.json(\.gz)?$/.test(file)) {
    const { isArray, chunks } = await startsWithArray(readBytes(file));
    return isArray ? splitArray(chunks, file) : splitLines(chunks);
  }
  throw new UserError("is not a kind of file that is read here", {
    file,
    hint: "use .jsonl, .ndjson, .json (each also with .gz) or .parquet",
  });
}

const decoder = new TextDecoder("utf-8", { fatal: true });

function parseRecord(bytes: Buffer): { fields: Fields } | { problem: string } {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return { problem: "is not valid UTF-8" };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return { problem: `is not valid JSON: ${cause instanceof Error ? cause.message : String(cause)}` };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { problem: `a record must be an object such as {"chosen": …}, not ${kindOf(value)}` };
  }
  return { fields: value as Fields };
}

/** What a value is, in words for an error message. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return typeof value === "string" ? "a text" : `a ${typeof value}`;
}
