import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UserError } from "../../errors.ts";
import { type ParquetRow, readParquet } from "./parquet.ts";
import { readRowGroups, UnreadableParquet } from "./parquet-groups.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-parquet-"));
});
afterAll(() => rm(folder, { recursive: true }));

const texts = Array.from({ length: 250 }, (_, index) => `review ${index} — ünïcode`);
const table = () =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: "text", data: texts, type: "STRING" },
        { name: "label", data: texts.map((_, index) => index % 2), type: "INT32" },
      ],
      codec: "SNAPPY",
      rowGroupSize: 100,
    }),
  );

async function read(content: Uint8Array, columns?: string[]) {
  const file = join(folder, "data.parquet");
  await writeFile(file, content);
  const rows: ParquetRow[] = [];
  for await (const row of readParquet(file, columns)) rows.push(row);
  return rows;
}

const fieldsOf = (row: ParquetRow | undefined) => (row && "fields" in row ? row.fields : row);

test("rows of all row groups come in order, numbered from 1", async () => {
  const rows = await read(table());
  expect(rows.map(({ row }) => row)).toEqual(texts.map((_, index) => index + 1));
  expect(rows.map(fieldsOf)).toEqual(texts.map((text, index) => ({ text, label: index % 2 })));
});

test("only the columns asked for are read; all of them if one is missing, so that an error can name them", async () => {
  expect((await read(table(), ["text"]))[0]).toEqual({ row: 1, fields: { text: texts[0] }, unread: ["label"] });
  expect(fieldsOf((await read(table(), ["review"]))[0])).toEqual({ text: texts[0], label: 0 });
});

test("a file packed with zstd", async () => {
  // Three texts in one page, packed by the zstd command line tool at level 19.
  const base64 =
    "UEFSMRUGFboBFWxcFQYVABUGFQAVBBUAAAADByi1L/0AaF0BAAICBw3QHQOQaU9qAdDwECAFlaY/CN0Irv4hdCN1+EcEAC0dTDVwkKTJTQIVBBksSARyb290" +
    "FQIAFQwlAhgEdGV4dCUAABYGGRwZHCYIHBUMGRUAGRgEdGV4dBUMFgYW5gEWmAEmCAAAFuYBFgY2mAEAKAloeXBhcnF1ZXQZHBwAAABXAAAAUEFSMQ==";
  expect((await read(Buffer.from(base64, "base64"))).map((row) => "fields" in row && row.fields.text)).toEqual([
    "one and one and one and one",
    "two and two and two and two",
    "three and three and three",
  ]);
});

test("what is not Parquet, or damaged, is a clear error with the row", async () => {
  await expect(read(Buffer.from("no parquet at all"))).rejects.toThrow(/data\.parquet: cannot be read as Parquet: /);
  const damaged = table().fill(0xff, 4, 300);
  const error = await read(damaged).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).message).toMatch(/data\.parquet:1: cannot be read as Parquet: /);
});

/** Three row groups of two columns that need not be texts by their type, as Spark writes them. */
function untyped(values: readonly (string | Buffer)[]): Uint8Array {
  const bytes = values.map((value) => new Uint8Array(Buffer.from(value as string)));
  const data = (name: string) => ({ name, data: bytes, type: "BYTE_ARRAY" as const });
  return new Uint8Array(parquetWriteBuffer({ columnData: [data("text"), data("other")], rowGroupSize: 2 }));
}

test("bytes that are no UTF-8 are a problem of their row in the columns asked for, and nothing in others", async () => {
  const latin1 = Buffer.from("caf\u00e9", "latin1");
  const content = untyped(["one", "two", latin1, "caf\u00e9"]);
  const rows = await read(content, ["text"]);
  expect(rows.map((row) => ("problem" in row ? row : row.fields.text))).toEqual([
    "one",
    "two",
    { row: 3, problem: "is not valid UTF-8", field: "text", unread: ["other"] },
    "caf\u00e9",
  ]);
  expect((await read(content)).map(fieldsOf)[2]).toEqual({ text: null, other: null });
});

describe("a file with one byte changed", () => {
  const whole = table();
  const footerBytes = Buffer.from(whole).readUInt32LE(whole.length - 8);
  const footerStart = whole.length - 8 - footerBytes;

  test("in its footer either gives all rows or is refused", async () => {
    const outcomes = { same: 0, refused: 0 };
    for (let at = footerStart; at < whole.length; at += 5) {
      const content = Buffer.from(whole);
      content[at]! ^= 0x0f;
      // In this thread, which is quicker: none of these keeps the library busy without end.
      const rows = await readHere(content, ["text"]).catch((error: unknown) => {
        expect(error).toBeInstanceOf(UnreadableParquet);
        return undefined;
      });
      if (rows) {
        expect(rows).toBe(texts.length);
        outcomes.same++;
      } else outcomes.refused++;
    }
    expect(outcomes.same).toBeGreaterThan(0);
    expect(outcomes.refused).toBeGreaterThan(5);
  });
});

test("a page that says it has no values is refused: as many must come out as were promised", async () => {
  const bytes = small();
  const pageValues = 14;
  expect(bytes[pageValues]).toBe(2 * 20);
  bytes[pageValues] = 0;
  await expect(read(bytes)).rejects.toThrow(/row group 1: its column `text` gives 0 of 20 values/);
});

describe("a thread that does not answer", () => {
  test("is ended when it makes no progress, with the row group and the file", async () => {
    const file = join(folder, "endless.parquet");
    await writeFile(file, endless());
    const reading = readParquet(file, undefined, { patience: 2000 });
    await expect(reading.next()).rejects.toThrow(
      /endless\.parquet:1: cannot be read as Parquet: row group 1 makes no progress for 2 s/,
    );
  });

  test("is ended when it takes too much memory", async () => {
    const file = join(folder, "large.parquet");
    const data = Array.from({ length: 400_000 }, (_, index) => `${index} ${"x".repeat(100)}`);
    await writeFile(
      file,
      new Uint8Array(parquetWriteBuffer({ columnData: [{ name: "text", data }], rowGroupSize: 400_000 })),
    );
    const reading = readParquet(file, undefined, { memory: 20 });
    await expect(reading.next()).rejects.toThrow(/large\.parquet.* takes more than 20 MiB/);
  });
});

/** The number of rows. */
async function readHere(content: Uint8Array, columns: string[]): Promise<number> {
  const file = join(folder, "here.parquet");
  await writeFile(file, content);
  let count = 0;
  for await (const { rows } of readRowGroups(file, columns, () => {})) count += rows.length;
  return count;
}

/**
 * A file whose first page lacks the length of its levels: the library reads the page again and
 * again.
 */
function endless(): Uint8Array {
  const bytes = small();
  const levelsLength = 21;
  expect(bytes[levelsLength]).toBe(0x15);
  bytes[levelsLength] = 0;
  return bytes;
}

function small(): Buffer {
  const data = Array.from({ length: 20 }, (_, index) => `text ${index} ${"z".repeat(index)}`);
  return Buffer.from(parquetWriteBuffer({ columnData: [{ name: "text", data, type: "STRING" }], codec: "SNAPPY" }));
}
