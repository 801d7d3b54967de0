import { WriteStream } from "node:tty";
import { afterEach, expect, test, vi } from "vitest";
import { colorsFor } from "./colors.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

/** A terminal with Node's own judgement of the environment. */
const terminal = {
  isTTY: true,
  getColorDepth: WriteStream.prototype.getColorDepth,
  hasColors: WriteStream.prototype.hasColors,
};

test.each([
  [{ TERM: "xterm-256color" }, true],
  [{ TERM: "xterm-256color", NO_COLOR: "1" }, false],
  [{ TERM: "dumb" }, false],
])("a terminal with %o", (environment, colors) => {
  for (const name of ["NO_COLOR", "FORCE_COLOR", "COLORTERM", "CI", "TMUX"]) vi.stubEnv(name, undefined);
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  expect(colorsFor(terminal).red("text") !== "text").toBe(colors);
});

test("what is no terminal gets none, whatever the environment", () => {
  vi.stubEnv("CI", "true");
  expect(colorsFor({ isTTY: false, hasColors: () => true }).red("text")).toBe("text");
});
