import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { userPath } from "./user-path.ts";

const folder = mkdtempSync(join(tmpdir(), "user-path-"));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ["~/models/a", join(homedir(), "models", "a")],
  ["~", homedir()],
  ["~/", join(homedir(), "/")],
  ["~\\models", join(homedir(), "\\models")],
  ["models/~/a", "models/~/a"],
  ["models/a~", "models/a~"],
  ["price-in-$.jsonl", "price-in-$.jsonl"],
  ["$1.jsonl", "$1.jsonl"],
  ["a%20b%20c.jsonl", "a%20b%20c.jsonl"],
  ["100%/a%", "100%/a%"],
  ["-", "-"],
])("%s is %s", (path, meant) => expect(userPath(path)).toBe(meant));

test.each([
  ["~somebody/models", /"~somebody" is not looked up, only ~\/ is; write the path out/],
  ["~+/models", /"~\+" is not looked up/],
  ["$HOME/runs", /"\$HOME" is a variable of the shell/],
  ["$" + "{HOME}/runs", /"\$\{HOME\}" is a variable/],
  ["/scratch/$USER/runs", /"\$USER" is a variable/],
  ["runs/$DATE-try", /"\$DATE" is a variable/],
  ["~/$PROJECT/runs", /"\$PROJECT" is a variable/],
  ["%USERPROFILE%\\runs", /"%USERPROFILE%" is a variable/],
  ["C:\\Users\\%USERNAME%\\runs", /"%USERNAME%" is a variable/],
  ["$env:USERPROFILE\\runs", /"\$env:USERPROFILE" is a variable/],
  ["", /must not be empty/],
  ["a\0b", /NUL/],
])("%s is refused", (path, message) => {
  expect(() => userPath(path)).toThrow(UserError);
  expect(() => userPath(path)).toThrow(message);
});

test("a folder that is really named so is meant", () => {
  mkdirSync(join(folder, "$HOME"));
  mkdirSync(join(folder, "%TEMP%"));
  for (const name of ["$HOME", "%TEMP%"]) expect(userPath(join(folder, name, "a"))).toBe(join(folder, name, "a"));
});
