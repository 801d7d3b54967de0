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

describe("files that cannot be read", () => {
  test.each([
    ["empty.jsonl", "", /empty\.jsonl: is empty$/],
    ["blank.jsonl", " \n\n", /holds no records/],
    ["empty-array.json", "[]", /holds no records/],
    ["data.csv", "a,b", /not a kind of file.*use \.jsonl/],
    ["plain.jsonl.gz", '{"a":1}', /cannot be unpacked as gzip/],
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
