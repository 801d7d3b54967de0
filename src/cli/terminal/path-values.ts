import type { Command } from "commander";
import { userPath } from "../../files/user-path.ts";

/** The names of values in a command's usage that are paths: `--output <folder>`, `<model...>`. */
export const pathNames: ReadonlySet<string> = new Set([
  ...["file", "folder"],
  ...["model", "adapter", "recipe", "data", "weights"],
]);

/**
 * Makes a command read all its paths as `userPath` does: arguments and options whose values are
 * named as paths.
 */
export function expandPaths(command: Command): void {
  for (const argument of command.registeredArguments) {
    if (!pathNames.has(argument.name())) continue;
    if (argument.variadic) argument.argParser(several);
    else argument.argParser(userPath);
  }
  for (const option of command.options) {
    const [, name] = /<([\w-]+)(?:\.\.\.)?>/.exec(option.flags) ?? [];
    if (name === undefined || !pathNames.has(name)) continue;
    if (option.variadic) option.argParser(several);
    else option.argParser(userPath);
  }
}

function several(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, userPath(text)];
}
