import fc from "fast-check";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { scalar } from "./recipe-text.ts";

test("texts are quoted only where YAML would read something else", () => {
  expect(["../a-b/c_d.jsonl.gz", "runs/x 1"].map(scalar)).toEqual(["../a-b/c_d.jsonl.gz", "runs/x 1"]);
  expect(["a: b", "null", "12", "a #b"].map(scalar)).toEqual(['"a: b"', '"null"', '"12"', '"a #b"']);
});

test("any text comes back as it was, with a comment behind it", () => {
  const text = fc.oneof(fc.string({ unit: "binary-ascii" }), fc.string({ unit: "grapheme" }));
  fc.assert(
    fc.property(text, (value) => {
      expect(parse(`key: ${scalar(value)} # more\n`)).toEqual({ key: value });
    }),
    {
      examples: ["\u00a0", "a\u00a0", "\u2003", "\ufeff", "\u2028", "\u2029", " ", "a ", "\t", "\n", ""].map(
        (white) => [white],
      ),
    },
  );
});
