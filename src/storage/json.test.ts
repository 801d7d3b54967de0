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
