import { homedir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { runHere } from "../testing/run-here.ts";
import { expandPaths } from "./path-values.ts";

const home = (name: string) => join(homedir(), name);

test("paths of arguments and options begin in the home folder, other values are left alone", async () => {
  const heard: unknown[] = [];
  const command = new Command()
    .argument("<model>")
    .argument("[data...]")
    .option("-o, --output <file>", "", "~/default")
    .option("--data <file...>")
    .option("--scorer <scorer>")
    .action((model, data, options) => void heard.push(model, data, options));
  expandPaths(command);
  await command.parseAsync(["~/m", "~/a", "b", "--output=~/o", "--data", "~/c", "d", "--scorer", "~/s"], {
    from: "user",
  });
  expect(heard).toEqual([home("m"), [home("a"), "b"], { output: home("o"), data: [home("c"), "d"], scorer: "~/s" }]);
});

describe("every command", () => {
  test.each([
    ["generate", ["MODEL", "--prompt", "a"]],
    ["generate", [".", "--prompts", "MODEL"]],
    ["evaluate", ["MODEL"]],
    ["evaluate", [".", "--data", "MODEL"]],
    ["evaluate", [".", "--reference", "MODEL"]],
    ["train", ["MODEL"]],
    ["weigh", ["MODEL"]],
    ["weigh", [".", "--jsonl", "MODEL"]],
    ["show-weights", ["MODEL"]],
    ["show-weights", [".", "--html", "MODEL"]],
    ["show-weights", [".", "--model", "MODEL"]],
    ["export", ["MODEL", "--output", "a"]],
    ["export", [".", "--output", "MODEL"]],
    ["export", [".", "--output", "a", "--base", "MODEL"]],
    ["init", ["MODEL", "a"]],
    ["init", [".", "MODEL"]],
    ["init", [".", "a", "-o", "MODEL"]],
    ["pairs", ["MODEL", "--prompts", "a", "--output", "b", "--scorer", "afinn"]],
    ["pairs", [".", "--prompts", "MODEL", "--output", "b", "--scorer", "afinn"]],
    ["pairs", [".", "--prompts", "a", "--output", "MODEL", "--scorer", "afinn"]],
    ["score", ["MODEL", "--data", "a", "--output", "b"]],
    ["score", [".", "--data", "MODEL", "--output", "b"]],
    ["score", [".", "--data", "a", "--reference", "MODEL", "--output", "b"]],
    ["score", [".", "--data", "a", "--output", "MODEL"]],
    ["demo", ["--output", "MODEL"]],
  ])("%s refuses what only a shell replaces in %j", async (command, args) => {
    const given = args.map((arg) => (arg === "MODEL" ? "$NO_SUCH_VARIABLE/m" : arg));
    const { code, error } = await runHere(command, ...given);
    expect(error).toMatch(/^error: \$NO_SUCH_VARIABLE\/m: "\$NO_SUCH_VARIABLE" is a variable of the shell/);
    expect(code).toBe(2);
  });
});
