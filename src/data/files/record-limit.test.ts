import { expect, test } from "vitest";
import { UserError } from "../../errors.ts";
import { splitBrackets } from "./brackets.ts";
import { splitLines } from "./lines.ts";
import { largestRecord } from "./record-limit.ts";

const file = "data.jsonl";

/**
 * Endless chunks of one byte; `taken` counts them, so that a reader that goes on and on is seen.
 */
function endless(byte: string, beginning = "") {
  const chunk = Buffer.alloc(2 ** 20, byte);
  const stream = { taken: 0, chunks: chunks() };
  async function* chunks() {
    yield Buffer.from(beginning);
    for (; stream.taken < 2 ** 10; stream.taken++) yield chunk;
  }
  return stream;
}

async function failureOf(pieces: AsyncIterable<unknown>): Promise<UserError> {
  try {
    for await (const _ of pieces);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return error as UserError;
  }
  throw new Error("nothing was refused");
}

const kinds = {
  lines: (chunks: AsyncIterable<Buffer>) => splitLines(chunks, file),
  array: (chunks: AsyncIterable<Buffer>) => splitBrackets(chunks, "array", file),
  objects: (chunks: AsyncIterable<Buffer>) => splitBrackets(chunks, "objects", file),
};
const beginnings = { lines: '{"a":1}\n"', array: '[{"a":1},\n"', objects: '{"a":\n1}{"' };

test.each(Object.entries(kinds))("%s: a record without end is refused at its line", async (kind, split) => {
  const stream = endless("x", beginnings[kind as keyof typeof kinds]);
  const error = await failureOf(split(stream.chunks));
  expect(error.message).toMatch(/a record of more than 64 MiB begins here/);
  expect(error.place).toEqual({ file, line: 2 });
  expect(stream.taken).toBeLessThan(66);
});

test.each(Object.entries(kinds))("%s: so are blanks without end", async (kind, split) => {
  for (const blank of ["\n", " "]) {
    const { chunks } = endless(blank, beginnings[kind as keyof typeof kinds].slice(0, -1));
    const error = await failureOf(split(chunks));
    expect(error.message).toMatch(/nothing but blanks for 64 MiB|a record of more than 64 MiB/);
    expect(error.place.file).toBe(file);
  }
});

test("a long record that is within the limit arrives whole", async () => {
  const text = `{"a":"${"x".repeat(largestRecord / 2)}"}`;
  async function* chunks() {
    for (let at = 0; at < text.length; at += 2 ** 16) yield Buffer.from(text.slice(at, at + 2 ** 16));
  }
  const lengths: number[] = [];
  for await (const { bytes } of splitLines(chunks(), file)) lengths.push(bytes.length);
  expect(lengths).toEqual([text.length]);
});
