/**
 * Records of a data file, one at a time.
 *
 * What a file is, its bytes say and not its name: Parquet, or JSON as one object per line, as an
 * array of objects, or as objects over several lines, each also packed with gzip and in UTF-16. A
 * record that cannot be understood does not end the stream: it comes as a `problem`, so that the
 * reader of the stream can stop there or count it. What makes the rest of the file unreadable is
 * thrown.
 */
import { getHeapStatistics } from "node:v8";
import { UserError } from "../../errors.ts";
import { grouped, mebibytes } from "../../words.ts";
import { splitBrackets } from "./brackets.ts";
import { openText, readHead } from "./bytes.ts";
import { foreignText, isParquet } from "./kind.ts";
import { layoutOf } from "./layout.ts";
import { type Piece, splitLines } from "./lines.ts";
import { readParquet } from "./parquet.ts";

/** The place of a record. Lines count from 1; in a Parquet file it is the number of the row. */
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
 * @throws UserError for a missing, empty, damaged or unknown kind of file, for one that holds no
 * records, and for data that do not fit into memory.
 */
export async function* readRecords(
  file: string,
  options: { columns?: readonly string[] } = {},
): AsyncGenerator<SourceRecord> {
  let count = 0;
  for await (const record of isParquet(await readHead(file))
    ? parquetRecords(file, options.columns)
    : jsonRecords(file)) {
    if (count++ % recordsBetweenLooks === 0) checkMemory(record.place, count);
    yield record;
  }
  if (count === 0) throw new UserError("holds no records", { file });
}

async function* parquetRecords(file: string, columns?: readonly string[]): AsyncGenerator<SourceRecord> {
  for await (const found of readParquet(file, columns)) {
    const place = { file, line: found.row };
    if ("problem" in found) yield { place, problem: found.problem, field: found.field };
    else yield { place, fields: found.fields, unread: found.unread };
  }
}

async function* jsonRecords(file: string): AsyncGenerator<SourceRecord> {
  for await (const { line, bytes } of await jsonPieces(file)) {
    yield { place: { file, line }, ...parseRecord(bytes) };
  }
}

async function jsonPieces(file: string): Promise<AsyncIterable<Piece>> {
  const { head, chunks } = await openText(file);
  const layout = layoutOf(head);
  // In a file that is named as JSON, each bad line is a bad record; any other file without JSON is
  // the wrong file.
  if (layout === undefined && !/\.(jsonl|ndjson|json)(\.gz)?$/i.test(file)) {
    const kind = foreignText(head) ?? "neither JSON nor Parquet";
    throw new UserError(`is not a kind of file that is read here: it is ${kind}`, {
      file,
      hint: "use JSON Lines, a JSON array (each also with gzip) or Parquet",
    });
  }
  return layout === "array" || layout === "objects" ? splitBrackets(chunks, layout, file) : splitLines(chunks, file);
}

const recordsBetweenLooks = 1000;

/**
 * Share of the largest heap that data may fill. Beyond it the process would end without a clear
 * word.
 */
const fullHeap = 0.75;
/** Bytes of the heap's limit that are for new objects alone. */
const newObjects = 48 * 2 ** 20;

function checkMemory(place: RecordPlace, count: number): void {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  if (used < fullHeap * (limit - newObjects)) return;
  throw new UserError(`the data do not fit into memory: ${mebibytes(used)} are full at record ${grouped(count)}`, {
    ...place,
    hint: `read less (\`data.limit\`), or allow more: NODE_OPTIONS=--max-old-space-size=${Math.ceil((limit / 2 ** 20) * 2)}`,
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

/** The kind of a value, in words for an error message. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return typeof value === "string" ? "a text" : `a ${typeof value}`;
}
