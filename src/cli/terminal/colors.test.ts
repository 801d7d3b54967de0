import { WriteStream } from "node:tty";
import { afterEach, expect, test, vi } from "vitest";
import { colorsFor } from "./colors.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

/** Only the given variables, of those that matter for colours. */
function stubEnvironment(environment: Readonly<Record<string, string>>): void {
  for (const name of ["NO_COLOR", "FORCE_COLOR", "COLORTERM", "CI", "TMUX"]) vi.stubEnv(name, undefined);
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
}

/** A terminal with Node's own judgement of the environment. */
const terminal = {
  isTTY: true,
  getColorDepth: WriteStream.prototype.getColorDepth,
  hasColors: WriteStream.prototype.hasColors,
};

test.each([
  [{ TERM: "xterm-256color" }, true],
  [{ TERM: "xterm-256color", NO_COLOR: "1" }, false],
  [{ TERM: "xterm-256color", NO_COLOR: "1", FORCE_COLOR: "1" }, false],
  [{ TERM: "xterm-256color", FORCE_COLOR: "0" }, false],
  [{ TERM: "dumb" }, false],
  [{ TERM: "dumb", FORCE_COLOR: "1" }, true],
])("a terminal with %o", (environment, colors) => {
  stubEnvironment(environment);
  expect(colorsFor(terminal).red("text") !== "text").toBe(colors);
});

test.each([
  [{ CI: "true", TERM: "xterm-256color" }, false],
  [{ FORCE_COLOR: "" }, false],
  [{ FORCE_COLOR: "0" }, false],
  [{ FORCE_COLOR: "false" }, false],
  [{ FORCE_COLOR: "1" }, true],
  [{ FORCE_COLOR: "1", NO_COLOR: "1" }, false],
])("what is no terminal with %o", (environment, colors) => {
  stubEnvironment(environment);
  // A stream to a file or a pipe has no `hasColors`.
  expect(colorsFor({ isTTY: false } as unknown as WriteStream).red("text") !== "text").toBe(colors);
});
