import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserError } from "../../errors.ts";
import { type ParquetRow, readParquet } from "./parquet.ts";

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

test("rows of all row groups come in order, numbered from 1", async () => {
  const rows = await read(table());
  expect(rows.map(({ row }) => row)).toEqual(texts.map((_, index) => index + 1));
  expect(rows.map(({ fields }) => fields)).toEqual(texts.map((text, index) => ({ text, label: index % 2 })));
});

test("only the columns asked for are read; all of them if one is missing, so that an error can name them", async () => {
  expect((await read(table(), ["text"]))[0]).toEqual({ row: 1, fields: { text: texts[0] }, unread: ["label"] });
  expect((await read(table(), ["review"]))[0]!.fields).toEqual({ text: texts[0], label: 0 });
});

test("a file packed with zstd", async () => {
  // Three texts in one page, packed by the zstd command line tool at level 19.
  const base64 =
    "UEFSMRUGFboBFWxcFQYVABUGFQAVBBUAAAADByi1L/0AaF0BAAICBw3QHQOQaU9qAdDwECAFlaY/CN0Irv4hdCN1+EcEAC0dTDVwkKTJTQIVBBksSARyb290" +
    "FQIAFQwlAhgEdGV4dCUAABYGGRwZHCYIHBUMGRUAGRgEdGV4dBUMFgYW5gEWmAEmCAAAFuYBFgY2mAEAKAloeXBhcnF1ZXQZHBwAAABXAAAAUEFSMQ==";
  expect((await read(Buffer.from(base64, "base64"))).map(({ fields }) => fields.text)).toEqual([
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
