import { Command } from "commander";
import { beforeEach, expect, test } from "vitest";
import { UserError } from "../../errors.ts";
import { errorWithFlags, speakFlagsOf, withFlags } from "./flags.ts";

beforeEach(() => {
  const command = new Command("evaluate")
    .option("--max-length <tokens>")
    .option("-c, --columns <name=column...>")
    .option("--resume")
    .option("--set <key=value...>")
    .option("--scorer-timeout <seconds>")
    .option("--beta <number>");
  speakFlagsOf(command);
});

test.each([
  ["continue it with `resume`, or choose another `output`", "continue it with --resume, or choose another `output`"],
  ["cut them with `maxLength: 512`", "cut them with --max-length 512"],
  ["such as `columns: { prompt: question, text: t }`", "such as --columns prompt=question text=t"],
  ["with `resume` and `set: dtype=float32`", "with --resume and --set dtype=float32"],
  ["give it more time with `timeout`", "give it more time with --scorer-timeout"],
  [
    "`format: text` has no such column; see `data.maxLength`",
    "`format: text` has no such column; see `data.maxLength`",
  ],
  ["`constructor` and `toString`", "`constructor` and `toString`"],
])("%s", (message, expected) => {
  expect(withFlags(message)).toBe(expected);
});

test("the option that an error blames is its flag, a key of a file is not", () => {
  expect(errorWithFlags(new UserError("is wrong", { field: "objective.beta" }))).toBe("--beta: is wrong");
  expect(errorWithFlags(new UserError("is wrong", { field: "columns", hint: "see `resume`" }))).toBe(
    "--columns: is wrong; see --resume",
  );
  expect(errorWithFlags(new UserError("is wrong", { field: "output" }))).toBe("output: is wrong");
  expect(errorWithFlags(new UserError("is wrong", { file: "recipe.yaml", field: "objective.beta" }))).toBe(
    "recipe.yaml: objective.beta: is wrong",
  );
});
