import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UserError } from "../../errors.ts";
import { readRecords, type SourceRecord } from "./read.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-read-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Writes the file and reads it back as `line: content` strings. */
async function read(name: string, content: string | Uint8Array): Promise<string[]> {
  const file = join(folder, name);
  await writeFile(file, content);
  const lines: string[] = [];
  for await (const record of readRecords(file)) lines.push(describeRecord(record, file));
  return lines;
}

function describeRecord(record: SourceRecord, file: string): string {
  expect(record.place.file).toBe(file);
  return `${record.place.line}: ${"problem" in record ? record.problem : JSON.stringify(record.fields)}`;
}

async function failure(reading: Promise<unknown>): Promise<UserError> {
  const error = await reading.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(UserError);
  return error as UserError;
}

describe("JSON Lines", () => {
  test.each([
    ["plain", '{"a":1}\n{"a":2}\n'],
    ["without a last newline", '{"a":1}\n{"a":2}'],
    ["with CRLF", '{"a":1}\r\n{"a":2}\r\n'],
    ["with a byte order mark", '\ufeff{"a":1}\n{"a":2}\n'],
  ])("%s", async (_, content) => {
    const expected = ['1: {"a":1}', '2: {"a":2}'];
    expect(await read("data.jsonl", content)).toEqual(expected);
    expect(await read("data.ndjson", content)).toEqual(expected);
    expect(await read("data.jsonl.gz", gzipSync(content))).toEqual(expected);
    expect(await read("data.json", content)).toEqual(expected);
  });

  test("blank lines are passed over, and counted in the line numbers", async () => {
    expect(await read("data.jsonl", '\n{"a":1}\n  \t\r\n\n{"a":2}\n\n')).toEqual(['2: {"a":1}', '5: {"a":2}']);
  });

  test("a bad line is a problem of its own and does not end the stream", async () => {
    const bytes = Buffer.concat([
      Buffer.from('{"a":1}\n{"a":\n[1]\nnull\n7\n"x"\n{"a":"'),
      Buffer.from([0xff]),
      Buffer.from('"}\n{"a":2}'),
    ]);
    expect(await read("data.jsonl", bytes)).toEqual([
      '1: {"a":1}',
      expect.stringMatching(/^2: is not valid JSON: /),
      expect.stringMatching(/^3: a record must be an object .*not a list$/),
      expect.stringMatching(/^4: .*not null$/),
      expect.stringMatching(/^5: .*not a number$/),
      expect.stringMatching(/^6: .*not a text$/),
      "7: is not valid UTF-8",
      '8: {"a":2}',
    ]);
  });

  test("characters and lines that span the chunks of the file arrive whole", async () => {
    const long = "€".repeat(100_000);
    expect(await read("data.jsonl", `{"a":"${long}"}\n{"a":"x"}`)).toEqual([`1: {"a":"${long}"}`, '2: {"a":"x"}']);
  });
});

describe("JSON array", () => {
  test.each(["data.json", "data.json.gz"])("%s: each element has the line on which it begins", async (name) => {
    const content = '\ufeff [\n{"a": "],[\\"{"},\n\n  {\n "b": [1, {"c": []}]\n }, {"d": 1}\n]\n';
    expect(await read(name, name.endsWith("gz") ? gzipSync(content) : content)).toEqual([
      '2: {"a":"],[\\"{"}',
      '4: {"b":[1,{"c":[]}]}',
      '6: {"d":1}',
    ]);
  });

  test("any array of objects reads as JSON.parse would read it", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { minLength: 1 }),
        fc.nat(3),
        async (records, indent) => {
          const lines = await read("data.json", JSON.stringify(records, null, indent));
          expect(lines.map((line) => JSON.parse(line.replace(/^\d+: /, "")))).toEqual(
            JSON.parse(JSON.stringify(records)),
          );
        },
      ),
      { numRuns: 50 },
    );
  });

  test("bad elements are problems of their own", async () => {
    expect(await read("data.json", '[{"a":1},\n{"a"},\n,3]')).toEqual([
      '1: {"a":1}',
      expect.stringMatching(/^2: is not valid JSON/),
      expect.stringMatching(/^3: is not valid JSON/),
      expect.stringMatching(/^3: .*not a number/),
    ]);
  });

  test("an array that is cut off, or followed by more, is an error with the line", async () => {
    expect((await failure(read("data.json", '[{"a":1},\n{"a":'))).message).toMatch(
      /data\.json:2: the array is not closed/,
    );
    expect((await failure(read("data.json", '[{"a":1}]\n\n{"a":2}'))).message).toMatch(
      /data\.json:3: there is more text/,
    );
  });
});

describe("what a file is, its bytes say", () => {
  const records = '{"a":1}\n{"a":"\u00fc\ud83d\ude00"}\n';
  const lines = ['1: {"a":1}', '2: {"a":"\u00fc\ud83d\ude00"}'];
  const littleEndian = (text: string) => Buffer.from(text, "utf16le");
  const bigEndian = (text: string) => Buffer.from(text, "utf16le").swap16();

  test.each([
    ["UPPER.JSONL", records],
    ["DATA.JSON.GZ", gzipSync(records)],
    ["without-suffix", records],
    ["packed.jsonl", gzipSync(records)],
    ["plain.jsonl.gz", records],
    ["members.jsonl", Buffer.concat([gzipSync(records.slice(0, 5)), gzipSync(records.slice(5)), Buffer.alloc(5000)])],
    ["text.parquet", records],
    ["utf16.jsonl", littleEndian(`\ufeff${records}`)],
    ["utf16-big-endian.jsonl", bigEndian(`\ufeff${records}`)],
    ["utf16-unmarked.jsonl", littleEndian(records)],
    ["utf16-packed.jsonl", gzipSync(bigEndian(records))],
  ])("%s", async (name, content) => {
    expect(await read(name, content)).toEqual(lines);
  });

  test("an array in a file of JSON Lines", async () => {
    expect(await read("array.jsonl", '\n[{"a":1},\n{"a":2}]')).toEqual(['2: {"a":1}', '3: {"a":2}']);
  });

  test.each([
    ["UTF-16 cut within a character", littleEndian(`\ufeff${records}`).subarray(0, -1), 2],
    ["half a pair of surrogates", littleEndian('\ufeff{"a":1}\n{"a":"\ud83d"}\n'), 1],
  ])("%s", async (_, content, line) => {
    const error = await failure(read("utf16.jsonl", content));
    expect(error.message).toMatch(/is not valid UTF-16 from about here on/);
    expect(error.place.line).toBe(line);
  });
});

describe("objects over several lines", () => {
  test.each([undefined, ","])("one after the other, with %s between them", async (between = "") => {
    const content = `{\n "a": "}{",\n "b": [1, {"c": 2}]\n}${between}\n\n{"a":\n2}`;
    expect(await read("pretty.jsonl", content)).toEqual(['1: {"a":"}{","b":[1,{"c":2}]}', '6: {"a":2}']);
  });

  test("any objects read as they were written", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), { minLength: 1 }),
        async (records) => {
          const lines = await read("pretty.json", records.map((record) => JSON.stringify(record, null, 2)).join("\n"));
          expect(lines.map((line) => JSON.parse(line.replace(/^\d+: /, "")))).toEqual(
            JSON.parse(JSON.stringify(records)),
          );
        },
      ),
      { numRuns: 50 },
    );
  });

  test("one that is cut off, and something between two, is an error with the line", async () => {
    expect((await failure(read("data.jsonl", '{\n"a": 1\n}\n{\n"a":'))).message).toMatch(
      /data\.jsonl:4: the object is not closed/,
    );
    expect((await failure(read("data.jsonl", '{\n"a": 1\n}\n7'))).message).toMatch(
      /data\.jsonl:4: there is something between two objects/,
    );
  });

  test("a broken first line of JSON Lines is a bad record of its own", async () => {
    expect(await read("data.jsonl", '{"a":\n{"a":2}\n')).toEqual([
      expect.stringMatching(/^1: is not valid JSON/),
      '2: {"a":2}',
    ]);
  });
});

describe("files that cannot be read", () => {
  test.each([
    ["empty.jsonl", "", /empty\.jsonl: is empty$/],
    ["blank.jsonl", " \n\n", /holds no records/],
    ["empty-array.json", "[]", /holds no records/],
    ["data.csv", "a,b\n1,2", /not a kind of file.*a table such as CSV; use JSON Lines/],
    ["data.txt", "no data", /neither JSON nor Parquet/],
    ["page.parquet", "<!doctype html>", /a web page/],
    ["archive.jsonl", "PK\x03\x04 and more", /a ZIP archive; unpack/],
    ["inside.jsonl.gz", gzipSync("PK\x03\x04 and more"), /a ZIP archive; unpack/],
    ["twice.jsonl.gz", gzipSync(gzipSync('{"a":1}')), /a packed file inside gzip; unpack it once/],
    ["parquet.gz", gzipSync("PAR1"), /a packed file inside gzip/],
    ["more.jsonl.gz", Buffer.concat([gzipSync('{"a":1}'), Buffer.from("\0\0more")]), /bytes behind its end/],
    ["cut.jsonl.gz", gzipSync('{"a":1}\n'.repeat(50)).subarray(0, 30), /cannot be unpacked as gzip/],
    ["pointer.parquet", "version https://git-lfs.github.com/spec/v1\noid sha256:0", /Git LFS pointer.*git lfs pull/],
  ])("%s", async (name, content, message) => {
    const error = await failure(read(name, content));
    expect(error.message).toMatch(message);
    expect(error.place.file).toBe(join(folder, name));
  });

  test("a missing file and a directory", async () => {
    const records = (file: string) => readRecords(file).next();
    expect((await failure(records(join(folder, "none.jsonl")))).message).toMatch(/none\.jsonl: there is no such file/);
    const named = join(folder, "folder.jsonl");
    await mkdir(named);
    expect((await failure(records(named))).message).toMatch(/is a directory/);
  });
});
