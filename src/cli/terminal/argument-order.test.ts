import { Command } from "commander";
import { expect, test } from "vitest";
import { argumentsFirst } from "./argument-order.ts";

/** What commander makes of a command line whose arguments were put first. */
function parsed(usage: { args: string[]; options: string[] }, line: string) {
  const command = new Command("any").exitOverride().configureOutput({ writeErr: () => {} });
  for (const name of usage.args) command.argument(name);
  for (const flags of usage.options) command.option(flags);
  command.action(() => {});
  command.parse(argumentsFirst(command, line.split(" ")), { from: "user" });
  return { arguments: command.processedArgs, ...command.opts() };
}

const train = { args: ["<recipe>"], options: ["--set <key=value...>", "--resume"] };
const generate = { args: ["<model>"], options: ["--prompt <text...>", "--stop <text...>", "--seed <number>"] };
const init = { args: ["<model>", "<data...>"], options: ["--columns <name=column...>", "-o, --output <file>"] };
const evaluate = { args: ["<model...>"], options: ["--data <file...>", "--samples <count>", "--json"] };

test.each([
  [train, "--set a=1 recipe.yaml", { arguments: ["recipe.yaml"], set: ["a=1"] }],
  [train, "--set a=1 b=2 recipe.yaml --resume", { arguments: ["recipe.yaml"], set: ["a=1", "b=2"], resume: true }],
  [train, "--set a=1 x=y/recipe.yaml", { arguments: ["x=y/recipe.yaml"], set: ["a=1"] }],
  [train, "--set a=1 recipe.yaml --set b=2", { arguments: ["recipe.yaml"], set: ["a=1", "b=2"] }],
  [train, "recipe.yaml --set a=1 b=2", { arguments: ["recipe.yaml"], set: ["a=1", "b=2"] }],
  [train, "--set a=1 b=2 -- recipe.yaml", { arguments: ["recipe.yaml"], set: ["a=1", "b=2"] }],
  [generate, "--prompt One model", { arguments: ["model"], prompt: ["One"] }],
  [generate, "--prompt One Two model", { arguments: ["model"], prompt: ["One", "Two"] }],
  [generate, "--prompt One --seed 3 model", { arguments: ["model"], prompt: ["One"], seed: "3" }],
  [
    generate,
    "--seed 3 --prompt One model --stop End",
    { arguments: ["model"], prompt: ["One"], seed: "3", stop: ["End"] },
  ],
  [generate, "--prompt -One model", { arguments: ["model"], prompt: ["-One"] }],
  [generate, "--prompt=One model", { arguments: ["model"], prompt: ["One"] }],
  [init, "--columns prompt=q model data", { arguments: ["model", ["data"]], columns: ["prompt=q"] }],
  [init, "-o out.yaml model a b", { arguments: ["model", ["a", "b"]], output: "out.yaml" }],
  [evaluate, "--data pairs a b", { arguments: [["a", "b"]], data: ["pairs"] }],
  [evaluate, "a --data pairs more", { arguments: [["a"]], data: ["pairs", "more"] }],
  [evaluate, "--samples 2 --json a", { arguments: [["a"]], samples: "2", json: true }],
])("%# options before arguments: %s", (usage, line, expected) => {
  expect(parsed(usage, line)).toEqual(expected);
});

test.each([
  [generate, "--prompt One"],
  [generate, "--prompt One two --stop a b"],
  [train, "--set a=1"],
])("%# what is missing or cannot be told stays an error: %s", (usage, line) => {
  expect(() => parsed(usage, line)).toThrow(/missing required argument/);
});
