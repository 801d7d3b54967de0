/**
 * Reads row groups of Parquet files. Runs in a thread of its own: what it reads may keep it busy
 * without end.
 */
import { asyncBufferFromFile, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { checkFooter, DamagedParquet } from "./parquet-footer.ts";
import type { Fields } from "./read.ts";

/** The fields of a row, or why it cannot be understood and in which column. */
export type Row = { readonly fields: Fields } | { readonly problem: string; readonly field: string };

/** A part of the rows of a file, in their order. */
export interface RowBatch {
  /** The number of the first one, from 1. */
  readonly firstRow: number;
  readonly rows: readonly Row[];
  /** The columns of the file that were not asked for, and left unread. */
  readonly unread: readonly string[];
}

/**
 * Characters that go from one thread to the other at once, about. Each turn costs a busy machine
 * some time.
 */
const batchCharacters = 2 ** 23;

/** A page that unpacks to more is damaged or a trap: the usual size is 1 MiB. */
const largestPage = 2 ** 30;

/** An unreadable row group, with the row at which the group begins. */
export class UnreadableParquet extends Error {
  override readonly name = "UnreadableParquet";
  readonly row: number | undefined;

  constructor(problem: string, row: number | undefined) {
    super(problem);
    this.row = row;
  }
}

/**
 * The rows of a file, one row group in memory at a time.
 *
 * @param columns Read only these, if the file has them all; otherwise, or if left out, every
 * column, so that an error can name them. Only in these are bytes that are no text a problem of the
 * row; elsewhere they count as nothing.
 * @param onProgress told the row group (from 1) and its first row, when it begins and for each page
 * @throws UnreadableParquet for a file that is not Parquet, is damaged, or is packed in an unknown
 * way.
 */
export async function* readRowGroups(
  file: string,
  columns: readonly string[] | undefined,
  onProgress: (group: number, firstRow: number) => void,
): AsyncGenerator<RowBatch> {
  const buffer = await asyncBufferFromFile(file);
  const metadata = await explain("", undefined, () => parquetMetadataAsync(buffer, { geoparquet: false }));
  const footer = await explain("", undefined, () => checkFooter(metadata, buffer.byteLength));
  const selected = columns?.every((name) => footer.columns.includes(name)) ? [...columns] : undefined;
  const unread = selected ? footer.columns.filter((name) => !selected.includes(name)) : [];
  let firstRow = 1;
  for (const [index, group] of metadata.row_groups.entries()) {
    const count = footer.rows[index]!;
    const onPage = () => onProgress(index + 1, firstRow);
    onPage();
    const rows = await explain(`row group ${index + 1}: `, firstRow, () =>
      readGroup({ ...metadata, num_rows: group.num_rows, row_groups: [group] }, count, onPage),
    );
    let batch: Row[] = [];
    let characters = 0;
    for (const [index, fields] of rows.entries()) {
      batch.push(readable(fields, columns ?? []));
      for (const name in fields) characters += lengthOf(fields[name]);
      if (characters < batchCharacters && index < count - 1) continue;
      yield { firstRow: firstRow + index + 1 - batch.length, rows: batch, unread };
      [batch, characters] = [[], 0];
    }
    firstRow += count;
  }

  async function readGroup(
    metadata: FileMetaData,
    count: number,
    onPage: () => void,
  ): Promise<Record<string, unknown>[]> {
    const values = new Map((selected ?? footer.columns).map((name) => [name, 0]));
    const rows = await parquetReadObjects({
      ...{ file: buffer, metadata, compressors: bounded, parsers, onPage, rowStart: 0, rowEnd: count },
      ...(selected && { columns: selected }),
      onChunk: ({ columnName, columnData }) =>
        values.set(columnName, (values.get(columnName) ?? 0) + columnData.length),
    });
    if (count === 0) return [];
    for (const [name, found] of values)
      if (found !== count) throw new DamagedParquet(`its column \`${name}\` gives ${found} of ${count} values`);
    for (const row of rows)
      for (const name in row)
        if (row[name] === undefined) throw new DamagedParquet(`its column \`${name}\` names a value that is not there`);
    return rows;
  }
}

/** The rough share of a value in the length of a batch. */
function lengthOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  return Array.isArray(value) ? value.reduce((sum: number, inner) => sum + lengthOf(inner), 0) : 100;
}

async function explain<Value>(
  what: string,
  row: number | undefined,
  read: () => Value | Promise<Value>,
): Promise<Value> {
  try {
    return await read();
  } catch (cause) {
    throw new UnreadableParquet(`${what}${cause instanceof Error ? cause.message : String(cause)}`, row);
  }
}

const bounded = Object.fromEntries(
  Object.entries(compressors).map(([codec, unpack]) => [
    codec,
    (bytes: Uint8Array, size: number) => {
      if (!(size >= 0 && size <= largestPage)) throw new DamagedParquet(`a page cannot unpack to ${size} bytes`);
      return unpack(bytes, size);
    },
  ]),
);

/** Stands for bytes that cannot be understood. */
class Unreadable {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const parsers = {
  stringFromBytes: (bytes: Uint8Array) => understood("is not valid UTF-8", () => bytes && decoder.decode(bytes)),
  jsonFromBytes: (bytes: Uint8Array) =>
    understood("is not valid JSON", () => bytes && JSON.parse(decoder.decode(bytes))),
};

/**
 * True if anything was unreadable since this was last set to false, so that values are looked
 * through only then.
 */
let sawUnreadable = false;

function understood(reason: string, read: () => unknown): unknown {
  try {
    return read();
  } catch {
    sawUnreadable = true;
    return new Unreadable(reason);
  }
}

function readable(fields: Record<string, unknown>, columns: readonly string[]): Row {
  if (!sawUnreadable) return { fields };
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    const found = unreadableIn(value);
    if (found && columns.includes(name)) return { problem: found.reason, field: name };
    kept[name] = found ? null : value;
  }
  return { fields: kept };
}

function unreadableIn(value: unknown): Unreadable | undefined {
  if (value instanceof Unreadable) return value;
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return undefined;
  for (const inner of Object.values(value)) {
    const found = unreadableIn(inner);
    if (found) return found;
  }
  return undefined;
}
