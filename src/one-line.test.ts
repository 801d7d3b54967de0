import { expect, test } from "vitest";
import { UserError } from "./errors.ts";
import { oneLine, quoted, shortened } from "./one-line.ts";

test("control characters, line separators and turns of direction become escapes", () => {
  expect(oneLine("a\x1b[2J\nb\r\tc\x9b\u2028\u202e d")).toBe("a\\u001b[2J\\nb\\r\\tc\\u009b\\u2028\\u202e d");
  expect(oneLine("grüße 日本 👍")).toBe("grüße 日本 👍");
});

test("texts are shortened between characters", () => {
  expect(shortened("abcd", 4)).toBe("abcd");
  expect(shortened("abcde", 4)).toBe("abcd…");
  expect(shortened("abc👍d", 4)).toBe("abc…");
});

test("values are quoted as JSON", () => {
  expect(quoted("a")).toBe('"a"');
  expect(quoted({ a: [1, null, true], b: "x" })).toBe('{"a":[1,null,true],"b":"x"}');
  expect(quoted(undefined)).toBe("undefined");
  expect(quoted(Number.NaN)).toBe("NaN");
  expect(quoted("a\nb\x1b")).toBe('"a\\nb\\u001b"');
  expect(quoted("\x9b")).toBe('"\\u009b"');
});

test("values that are deep, long or hold themselves are quoted to a limit", () => {
  let deep: unknown[] = [];
  for (let level = 0; level < 100_000; level++) deep = [deep];
  expect(quoted(deep)).toBe("[[[[[…]]]]]");
  const itself: Record<string, unknown> = {};
  itself.again = itself;
  expect(quoted(itself).length).toBeLessThan(82);
  expect(quoted("x".repeat(5_000_000)).length).toBeLessThan(84);
  expect(quoted(Array.from({ length: 1_000_000 }, (_, index) => index)).length).toBeLessThan(84);
  expect(quoted({ ["k".repeat(1_000_000)]: 1 }).length).toBeLessThan(84);
});

test("a message of a UserError stays one line of bounded length, whatever it quotes", () => {
  const error = new UserError(`no "\x1b[2J\n${"y".repeat(1_000_000)}"`, {
    file: "a\nb",
    field: "\x07",
    hint: "do\nthis",
  });
  expect(error.message).toMatch(/^a\\nb: \\u0007: no "\\u001b\[2J\\ny+…; do\\nthis$/);
  expect(error.message.length).toBeLessThan(3000);
});
