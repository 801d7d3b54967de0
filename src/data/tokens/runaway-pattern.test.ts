import { expect, test } from "vitest";
import { mayRunAway } from "./runaway-pattern.ts";

test.each(["(a+)+$", "(a|aa)+c", "(?:a*)*b", "((a?)b)*", "(?:\\s*x+)+", "(a{1,3})+", "(?i:a|b){2,}"])(
  "%s may",
  (expression) => expect(mayRunAway(expression)).toBe(true),
);

test.each([
  "'s|'t| ?\\p{L}+| ?[^\\s\\p{L}]+|\\s+(?!\\S)|\\s+",
  "(?i:'s|'t)|[^\\r\\n\\p{L}]?\\p{L}+|\\p{N}{1,3}",
  "(?:\\d{3})+(?!\\d)",
  "[(a+)]+b",
  "\\(a+\\)+",
  "(a+)?b",
  "[[a-z]&&[^(x)]]+(?:'s)?",
])("%s does not", (expression) => expect(mayRunAway(expression)).toBe(false));
