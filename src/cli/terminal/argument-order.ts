import type { Command, Option } from "commander";

/** An option of several values where it stands on the command line, and what follows it. */
interface Run {
  readonly option: Option;
  readonly values: string[];
}

/**
 * Puts a command's arguments before its options, so that an option of several values does not take
 * what follows it for more values. `train --set epochs=2 recipe.yaml` and
 * `generate --prompt Hello model` thereby mean what they say.
 *
 * Nothing changes where the arguments were all given elsewhere. Otherwise values become arguments:
 * - of an option of settings (`<key=value...>`), what holds no `=`, and all after it;
 * - else, with a fixed number of arguments, as many of the last values as are missing;
 * - else, with any number of arguments, all values but the first.
 *
 * @param args what follows the command's name
 */
export function argumentsFirst(command: Command, args: readonly string[]): string[] {
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  const { positionals, options, runs } = divide(command, args.slice(0, end));
  const behind = args.slice(end + 1);
  const missing = command.registeredArguments.filter(({ required }) => required).length - positionals.length;
  if (missing <= behind.length) return [...args];
  const surplus = runs.map((run) => surplusOf(command, run, missing - behind.length));
  const giving = surplus.filter((count) => count > 0);
  if (giving.length !== 1) return [...args];
  const at = surplus.findIndex((count) => count > 0);
  const { values } = runs[at]!;
  const given = values.splice(values.length - surplus[at]!);
  return [
    ...positionals,
    ...given,
    ...options.flatMap((part) => ("values" in part ? part.values : part.text)),
    ...args.slice(end),
  ];
}

/** Tells arguments, options and the values of options apart, as commander does. */
function divide(command: Command, args: readonly string[]) {
  const positionals: string[] = [];
  const options: ({ text: string[] } | Run)[] = [];
  const runs: Run[] = [];
  for (let at = 0; at < args.length; at++) {
    const text = args[at]!;
    if (!isOption(text)) {
      positionals.push(text);
      continue;
    }
    options.push({ text: [text] });
    const option = command.options.find(({ short, long }) => text === short || text === long);
    if (!option?.required || at + 1 === args.length) continue;
    const run: Run = { option, values: [args[++at]!] };
    while (option.variadic && at + 1 < args.length && !isOption(args[at + 1]!)) run.values.push(args[++at]!);
    options.push(run);
    runs.push(run);
  }
  return { positionals, options, runs };
}

function isOption(text: string): boolean {
  return text.length > 1 && text.startsWith("-");
}

/** The number of the last values that may be arguments. */
function surplusOf(command: Command, { option, values }: Run, missing: number): number {
  if (!option.variadic) return 0;
  const most = values.length - 1;
  if (/=[^>]*>/.test(option.flags)) {
    const setting = values.findIndex((value) => !value.includes("="));
    if (setting >= 0) return Math.min(most, values.length - setting);
  }
  const anyNumber = command.registeredArguments.some(({ variadic }) => variadic);
  return anyNumber ? most : most >= missing ? missing : 0;
}
