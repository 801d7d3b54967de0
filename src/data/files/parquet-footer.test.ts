import type { ColumnChunk, FileMetaData, RowGroup } from "hyparquet";
import { parquetMetadata } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, test } from "vitest";
import { checkFooter, DamagedParquet } from "./parquet-footer.ts";

const file = parquetWriteBuffer({
  columnData: [
    { name: "text", data: ["a", "b", "c"], type: "STRING" },
    { name: "tags", data: [["x", "y"], [], ["z"]], type: "JSON" },
  ],
  rowGroupSize: 2,
});

/** A fresh footer, its groups and their columns to change. */
function footer() {
  const metadata = parquetMetadata(file);
  const [group] = metadata.row_groups as [RowGroup];
  const [column] = group.columns as [ColumnChunk];
  return { metadata, group, column: column.meta_data! };
}

const check = (metadata: FileMetaData) => checkFooter(metadata, file.byteLength);

test("a good footer: its columns, and the rows of its groups", () => {
  expect(check(footer().metadata)).toEqual({ columns: ["text", "tags"], rows: [2, 1] });
});

describe("a footer that lies is refused", () => {
  test.each<[name: string, change: (parts: ReturnType<typeof footer>) => void, message: RegExp]>([
    [
      "fewer rows in a group",
      ({ group }) => Object.assign(group, { num_rows: 0n }),
      /0 rows, but its column `text` has 2/,
    ],
    ["negative rows", ({ group }) => Object.assign(group, { num_rows: -2n }), /cannot have -2 rows/],
    ["rows that are no number", ({ group }) => Object.assign(group, { num_rows: true }), /cannot have true rows/],
    ["huge rows", ({ group }) => Object.assign(group, { num_rows: 2n ** 62n }), /cannot have 4611686018427387904 rows/],
    [
      "other rows in all",
      ({ metadata }) => Object.assign(metadata, { num_rows: 7n }),
      /promises 7 rows, its row groups 3/,
    ],
    ["a group less", ({ metadata }) => metadata.row_groups.pop(), /promises 3 rows, its row groups 2/],
    ["no columns in a group", ({ group }) => group.columns.splice(0), /row group 1: it has 0 of 2 columns/],
    ["columns in another order", ({ group }) => group.columns.reverse(), /its column 1 is not `text`/],
    ["values", ({ column }) => Object.assign(column, { num_values: 9n }), /2 rows, but its column `text` has 9/],
    [
      "a size beyond the file",
      ({ column }) => Object.assign(column, { total_compressed_size: 9999n }),
      /`text` lies outside/,
    ],
    ["a negative size", ({ column }) => Object.assign(column, { total_compressed_size: -1n }), /cannot have -1 bytes/],
    [
      "a start before the data",
      ({ column }) => Object.assign(column, { data_page_offset: 1n, dictionary_page_offset: undefined }),
      /outside/,
    ],
    ["one name twice", ({ metadata }) => Object.assign(metadata.schema[2]!, { name: "text" }), /the same name/],
    [
      "no columns",
      ({ metadata }) => Object.assign(metadata, { schema: [{ name: "root", num_children: 0 }], row_groups: [] }),
      /no columns/,
    ],
  ])("%s", (_, change, message) => {
    const parts = footer();
    change(parts);
    expect(() => check(parts.metadata)).toThrow(DamagedParquet);
    expect(() => check(parts.metadata)).toThrow(message);
  });
});
