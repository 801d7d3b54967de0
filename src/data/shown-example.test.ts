import { expect, test } from "vitest";
import { showExample } from "./shown-example.ts";

const words = ["<s>", "</s>", " a", " good", "\n", " film", "\u001b[31m", "x".repeat(50)];

/** Like SentencePiece's: a text does not begin with a space. */
const decode = (ids: ArrayLike<number>) =>
  Array.from(ids, (id) => words[id])
    .join("")
    .replace(/^ /, "");

const example = (prompt: number[], ...responses: number[][]) => ({
  prompt: Int32Array.from(prompt),
  responses: responses.map((ids) => Int32Array.from(ids)),
  cut: { prompt: 0, responses: responses.map(() => 0) },
  place: { file: "pairs.jsonl", line: 3 },
});

test("a pair shows its boundary, its spaces and its special tokens", () => {
  expect(showExample(example([0, 2], [3, 5, 1], [5, 1]), { decode })).toBe(
    [
      "the first example as tokens (pairs.jsonl:3):",
      "  prompt   [<s>][ a]",
      "  chosen   [ good][ film][</s>]",
      "  rejected [ film][</s>]",
    ].join("\n"),
  );
});

test("long parts keep what is around the boundary and the end", () => {
  const long = Array.from({ length: 40 }, () => 2);
  const [, prompt, text] = showExample(example([0, ...long, 5], [3, ...long, 5, 1]), { decode }).split("\n");
  expect(prompt).toBe(`  prompt   [<s>] … 29 more … ${"[ a]".repeat(11)}[ film]`);
  expect(text).toBe(`  text     [ good]${"[ a]".repeat(11)} … 28 more … [ a][ film][</s>]`);
});

test("nothing in a token acts on the terminal or fills it", () => {
  const shown = showExample(example([4], [6, 7]), { decode });
  expect(shown).toContain("[\\n]");
  expect(shown).toContain("[\\u001b[31m]");
  expect(shown).toContain(`[${"x".repeat(24)}…]`);
});
