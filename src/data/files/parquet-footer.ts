import { type FileMetaData, parquetSchema, type RowGroup, type SchemaTree } from "hyparquet";

/** Something in a Parquet file contradicts the rest of it. The message says what. */
export class DamagedParquet extends Error {
  override readonly name = "DamagedParquet";
}

/** The facts of a footer that has been checked. */
export interface CheckedFooter {
  /** The names of the top-level columns. */
  readonly columns: readonly string[];
  /** The number of rows in each row group. */
  readonly rows: readonly number[];
}

/**
 * Checks that a footer agrees with itself and with the size of its file, so that reading by it
 * loses no rows, and asks for no memory that no file of this size can need.
 *
 * @throws DamagedParquet where it does not.
 */
export function checkFooter(metadata: FileMetaData, fileBytes: number): CheckedFooter {
  const { children } = parquetSchema(metadata);
  const columns = children.map(({ element }) => element.name);
  refuseIf(columns.length === 0, "it has no columns");
  refuseIf(new Set(columns).size < columns.length, "two columns have the same name");
  const leaves = children.flatMap((child) => leavesOf(child, false));
  const end = fileBytes - metadata.metadata_length - endingBytes;
  const rows = metadata.row_groups.map((group, index) => {
    try {
      return checkGroup(group, leaves, end);
    } catch (error) {
      throw error instanceof DamagedParquet ? new DamagedParquet(`row group ${index + 1}: ${error.message}`) : error;
    }
  });
  const [promised, found] = [metadata.num_rows, rows.reduce((sum, count) => sum + count, 0)];
  refuseIf(Number(promised) !== found, `the file promises ${promised} rows, its row groups ${found}`);
  return { columns, rows };
}

/** Behind the footer stand its length and the mark `PAR1`, before the data stands another. */
const endingBytes = 8;
const markBytes = 4;

interface Leaf {
  readonly path: string;
  /** A row may have several values. */
  readonly repeated: boolean;
}

function leavesOf({ element, children, path }: SchemaTree, inRepeated: boolean): Leaf[] {
  const repeated = inRepeated || element.repetition_type === "REPEATED";
  if (children.length === 0) return [{ path: path.join("."), repeated }];
  return children.flatMap((child) => leavesOf(child, repeated));
}

/** @returns the number of its rows */
function checkGroup(group: RowGroup, leaves: readonly Leaf[], end: number): number {
  const rows = countOf(group.num_rows, "rows");
  refuseIf(group.columns.length !== leaves.length, `it has ${group.columns.length} of ${leaves.length} columns`);
  for (const [index, { path, repeated }] of leaves.entries()) {
    const column = group.columns[index]?.meta_data;
    refuseIf(column?.path_in_schema.join(".") !== path, `its column ${index + 1} is not \`${path}\``);
    const { num_values, total_compressed_size, data_page_offset, dictionary_page_offset } = column!;
    const values = countOf(num_values, `values in \`${path}\``);
    refuseIf(
      repeated ? values < rows : values !== rows,
      `it has ${rows} rows, but its column \`${path}\` has ${values} values`,
    );
    const start = countOf(dictionary_page_offset || data_page_offset, `as the start of \`${path}\``);
    const size = countOf(total_compressed_size, `bytes in \`${path}\``);
    refuseIf(start < markBytes || start + size > end, `its column \`${path}\` lies outside of the file`);
  }
  return rows;
}

function countOf(value: unknown, what: string): number {
  const count = typeof value === "bigint" ? Number(value) : Number.NaN;
  refuseIf(!Number.isSafeInteger(count) || count < 0, `it cannot have ${String(value)} ${what}`);
  return count;
}

function refuseIf(isWrong: boolean, problem: string): void {
  if (isWrong) throw new DamagedParquet(problem);
}
