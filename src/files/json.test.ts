import { describe, expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { parseJson, readJson } from "./json.ts";

describe("parseJson", () => {
  test("skips a byte order mark", () => expect(parseJson('\uFEFF{"a": 1}', "a.json")).toEqual({ a: 1 }));

  test.each([
    ["an unexpected character", '{\n  "a": 1,\n  }', 3, 3, "Expected double-quoted property name"],
    ["text after the end", "{}\n{}", 2, 1, "Unexpected non-whitespace character after JSON"],
    ["a file cut off", '{"a":\n', 2, 1, "Unexpected end of JSON input"],
    ["an empty file", "", 1, 1, "Unexpected end of JSON input"],
    ["NaN, which Python writes", '{"a": NaN}', 1, 7, "Unexpected token 'N'"],
    ["a word of Python in a long file", `${'{"a":\n'.repeat(99)}True${"}".repeat(99)}`, 100, 1, "Unexpected token 'T'"],
  ])("places %s", (_, text, line, column, problem) => {
    const parse = () => parseJson(text, "a.json");
    expect(parse).toThrow(UserError);
    expect(parse).toThrow(`a.json:${line}:${column}: not valid JSON: ${problem}`);
    expect(parse).not.toThrow(/position/);
  });
});

test("a missing file", async () => {
  await expect(readJson("missing.json")).rejects.toThrow("missing.json: cannot read: no such file or folder");
});

describe("what JSON.parse takes without a word", () => {
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

  test.each([
    ["a key that occurs twice", '{"a": 1,\n"a": 2}', /a\.json:2:1: the key "a" occurs twice/],
    ["a key that is spelt in two ways", '{"a": [{"b": 1, "\\u0062": 2}]}', /a\.json:1:17: the key "b" occurs twice/],
    ["lists that are nested deep", nested(8000), /a\.json:1:101: .* nested more than 100 deep/],
    ["nesting that is never closed", "[".repeat(10_000_000), /nested more than 100 deep/],
    ["objects that are nested deep", `${'{"a":'.repeat(8000)}1${"}".repeat(8000)}`, /nested more than 100 deep/],
    ["millions of values", `[${"0,".repeat(6_000_000)}0]`, /holds more than 5000000 values/],
  ])("%s", (_, text, message) => {
    expect(() => parseJson(text, "a.json")).toThrow(UserError);
    expect(() => parseJson(text, "a.json")).toThrow(message);
  });

  test.each([
    ["brackets and quotes inside strings", `{"a": "${"[".repeat(200)}\\"", "b\\\\": "\\\\"}`],
    ["the same key in two objects", '[{"a": 1}, {"a": 1, "b": {"a": 1}}]'],
    ["a value that is equal to a key", '{"a": "a", "b": ["a", "a"]}'],
    ["nesting of 100", nested(100)],
    ["a key named like a property of objects", '{"__proto__": 1, "constructor": 2}'],
  ])("but not %s", (_, text) => expect(parseJson(text, "a.json")).toEqual(JSON.parse(text)));

  test("keys may repeat where a reader says so, as in vocabularies", () =>
    expect(parseJson('{"a": 1, "a": 2}', "a.json", { uniqueKeys: false })).toEqual({ a: 2 }));

  test("keys of the outermost object may be limited", () => {
    expect(parseJson('{"a": {"c": 1, "d": 1}, "b": 1}', "a.json", { mostKeys: 2 })).toHaveProperty("b");
    expect(() => parseJson('{"a": 1, "b": 1, "c": 1}', "a.json", { mostKeys: 2 })).toThrow(/more than 2 keys/);
  });

  test.each(['{}"a":1}', ',"a"', '{"a', '{"a\\', "]}{", '{"\\x": 1, "\\x": 1}'])(
    "%s is no JSON, and no crash",
    (text) => expect(() => parseJson(text, "a.json")).toThrow(UserError),
  );

  test("a message shows the line break of a file as an escape", () =>
    expect(() => parseJson('{"a": "b\nc\x1b[2J"}', "a.json")).toThrow(/^[\x20-\x7e]+$/));
});

test.skipIf(process.platform === "win32")("a device is not read, whose end may never come", async () => {
  await expect(readJson("/dev/zero")).rejects.toThrow("is longer than 100 MB");
});
