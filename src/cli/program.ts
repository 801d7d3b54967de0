import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { UserError } from "../errors.ts";
import { colorsFor } from "./colors.ts";
import { evaluateCommand } from "./evaluate.ts";
import { generateCommand } from "./generate.ts";
import { pairsCommand } from "./pairs.ts";
import { trainCommand } from "./train.ts";

const { version, description } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
  description: string;
};

/**
 * Runs the command line.
 *
 * @param args what follows the program's name
 * @returns the exit code: 0 done, 1 a fault of tokenwise, 2 something wrong with the input, 130 interrupted
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = new Command("tokenwise")
    .description(description)
    .version(version)
    .showSuggestionAfterError()
    .exitOverride()
    .addCommand(evaluateCommand())
    .addCommand(
      trainCommand((code) => {
        exitCode = code;
      }),
    )
    .addCommand(generateCommand())
    .addCommand(
      pairsCommand((code) => {
        exitCode = code;
      }),
    );
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof UserError) {
      console.error(`${colorsFor(process.stderr).red("error:")} ${error.message}`);
      return 2;
    }
    console.error(error);
    return 1;
  }
}
