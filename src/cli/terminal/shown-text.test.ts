import { expect, test } from "vitest";
import { shownMessage, shownText } from "./shown-text.ts";

test("a message is one line that cannot act", () => {
  expect(shownMessage("a\u001b[2Jb\u009bc\nmodel: everything is fine\r\u202e")).toBe(
    "a\\u001b[2Jb\\u009bc\\nmodel: everything is fine\\r\\u202e",
  );
});

test("below it a list, whose lines are indented", () => {
  expect(shownMessage("skipped 2:\n  one\u0007\n  two\nerror: no")).toBe("skipped 2:\n  one\\u0007\n  two\\nerror: no");
});

test("text is as it is for a pipe, and cannot act on a terminal", () => {
  const text = "a\tb\nc\u001b]0;title\u0007\u009b2J";
  expect(shownText(text, {})).toBe(text);
  expect(shownText(text, { isTTY: true })).toBe("a\tb\nc␛]0;title␇\uFFFD2J");
});
