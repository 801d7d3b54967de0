import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { Command, CommanderError } from "commander";
import { UserError } from "../errors.ts";
import { withoutControls } from "../show/visible-text.ts";
import { demoCommand } from "./commands/demo.ts";
import { evaluateCommand } from "./commands/evaluate.ts";
import { exportCommand } from "./commands/export.ts";
import { generateCommand } from "./commands/generate.ts";
import { initCommand } from "./commands/init.ts";
import { methodsCommand } from "./commands/methods.ts";
import { pairsCommand } from "./commands/pairs.ts";
import { scoreCommand } from "./commands/score.ts";
import { showWeightsCommand } from "./commands/show-weights.ts";
import { trainCommand } from "./commands/train.ts";
import { weighCommand } from "./commands/weigh.ts";
import { argumentsFirst } from "./terminal/argument-order.ts";
import { colorsFor } from "./terminal/colors.ts";
import { errorWithFlags, speakFlagsOf } from "./terminal/flags.ts";
import { fitHelp } from "./terminal/help.ts";
import { expandPaths } from "./terminal/path-values.ts";

const { version, description } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
  description: string;
};

/**
 * Runs the command line.
 *
 * @param args what follows the program's name
 * @returns the exit code: 0 done, 1 a fault of tokenwise, 2 something wrong with the input, 130
 * interrupted
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = new Command("tokenwise")
    .description(description)
    .version(version)
    .showSuggestionAfterError()
    .exitOverride();
  const exit = (code: number) => {
    exitCode = code;
  };
  const commands = [
    ...[
      demoCommand(exit),
      methodsCommand(),
      initCommand(),
      trainCommand(exit),
      evaluateCommand(exit),
      generateCommand(),
      pairsCommand(exit),
    ],
    ...[scoreCommand(exit), weighCommand(exit), showWeightsCommand(), exportCommand(exit)],
  ];
  for (const command of commands) program.addCommand(command);
  fitHelp(program);
  for (const command of program.commands) {
    command.copyInheritedSettings(program);
    expandPaths(command);
  }
  try {
    await program.parseAsync(ordered(program, args), { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof UserError) {
      console.error(`${colorsFor(process.stderr).red("error:")} ${errorWithFlags(error)}`);
      return 2;
    }
    console.error(withoutControls(inspect(error)));
    return 1;
  }
}

/** The command line with the arguments of its command before the options. */
function ordered(program: Command, args: readonly string[]): readonly string[] {
  const [name, ...rest] = args;
  const command = program.commands.find((known) => known.name() === name);
  if (!command) return args;
  speakFlagsOf(command);
  return [name!, ...argumentsFirst(command, rest)];
}
