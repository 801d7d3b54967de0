import { afterEach, expect, test, vi } from "vitest";
import { runHere } from "../testing/run-here.ts";
import { folded } from "./help.ts";

const commands = ["demo", "init", "train", "evaluate", "generate", "pairs", "weigh", "show-weights", "export"];
const columns = Object.getOwnPropertyDescriptor(process.stdout, "columns");

afterEach(() => {
  if (columns) Object.defineProperty(process.stdout, "columns", columns);
  else Reflect.deleteProperty(process.stdout, "columns");
});

test.each([40, 50, 60, 80, 120].flatMap((width) => ["", ...commands].map((command) => [width, command] as const)))(
  "at %i columns the help of '%s' fits",
  async (width, command) => {
    Object.defineProperty(process.stdout, "columns", { value: width, configurable: true });
    const { code, out } = await runHere(...(command ? [command, "--help"] : ["--help"]));
    expect(code).toBe(0);
    expect(out).toContain("Usage: tokenwise");
    const long = out.split("\n").filter((line) => line.length > width);
    // A word alone, as a path or a list of choices, may be longer than a line.
    expect(long.filter((line) => line.trim().includes(" "))).toEqual([]);
    vi.restoreAllMocks();
  },
);

test("lines are folded between words, and what goes on is indented", () => {
  expect(folded("one two three\n  four five six seven\n", 12)).toBe(
    "one two\nthree\n  four five\n    six\n    seven\n",
  );
  expect(folded("one two\nthree four\n\nhere:\nmore\n", 12)).toBe("one two\nthree four\n\nhere:\nmore\n");
  expect(folded("one two three\nfour five\n", 14)).toBe("one two three\nfour five\n");
  expect(folded("one two three\nfour five\n", 9)).toBe("one two\nthree\nfour five\n");
  expect(folded("short\n", 12)).toBe("short\n");
  expect(folded("    averylongwordthatdoesnotfit", 12)).toBe("    averylongwordthatdoesnotfit");
});
