import { asyncBufferFromFile, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { UserError } from "../../errors.ts";
import { readHead } from "./bytes.ts";

/** One row; `row` counts from 1. */
export interface ParquetRow {
  readonly row: number;
  readonly fields: Readonly<Record<string, unknown>>;
  /** The columns of the file that were not asked for, and left unread. */
  readonly unread: readonly string[];
}

/**
 * The rows of a Parquet file, one row group in memory at a time.
 *
 * @param columns Read only these, if the file has them all; otherwise, or if left out, every column, so that an error can name them.
 * @throws UserError for a file that is not Parquet, is damaged, or is packed in an unknown way.
 */
export async function* readParquet(file: string, columns?: readonly string[]): AsyncGenerator<ParquetRow> {
  await readHead(file);
  const buffer = await asyncBufferFromFile(file);
  const metadata = await explain({ file }, () => parquetMetadataAsync(buffer));
  const present = columnsOf(metadata);
  const selection: { columns?: string[] } = columns?.every((name) => present.includes(name))
    ? { columns: [...columns] }
    : {};
  const unread = selection.columns ? present.filter((name) => !selection.columns?.includes(name)) : [];
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    const rows = await explain({ file, line: rowStart + 1 }, () =>
      parquetReadObjects({ file: buffer, metadata, compressors, rowStart, rowEnd, ...selection }),
    );
    for (const [index, fields] of rows.entries()) yield { row: rowStart + index + 1, fields, unread };
    rowStart = rowEnd;
  }
}

/** The names of the top-level columns: the schema lists its tree depth first, the root before all. */
function columnsOf({ schema }: FileMetaData): string[] {
  const names: string[] = [];
  let at = 1;
  const skipTree = (): void => {
    const children = schema[at++]?.num_children ?? 0;
    for (let child = 0; child < children; child++) skipTree();
  };
  while (at < schema.length) {
    names.push(schema[at]!.name);
    skipTree();
  }
  return names;
}

async function explain<Value>(place: { file: string; line?: number }, read: () => Promise<Value>): Promise<Value> {
  try {
    return await read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UserError(`cannot be read as Parquet: ${reason}`, { ...place, cause });
  }
}
