import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The path of a file in this folder. */
export function benchFile(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/**
 * Runs a command that prints one line of JSON.
 *
 * @throws Error with what the command said, if it fails.
 */
export function runJson<Figures>(command: string, args: readonly string[]): Figures {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (error || status !== 0) {
    const said = stderr?.trim().split("\n").slice(-4).join("\n") ?? "";
    throw new Error(`${command} ${args.slice(0, 4).join(" ")} failed ${signal ?? ""}\n${said}`, { cause: error });
  }
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Figures;
}

/** Runs a TypeScript file of this folder in a process of its own. */
export function runScript<Figures>(file: string, args: readonly string[]): Figures {
  return runJson<Figures>(process.execPath, ["--import", import.meta.resolve("tsx"), benchFile(file), ...args]);
}

/**
 * Runs a subcommand of this bench in a process of its own, so that memory and threads are its own
 * too.
 */
export function runBench<Figures>(subcommand: string, options: Options): Figures {
  return runScript<Figures>("main.ts", [subcommand, ...flags(options), "--json"]);
}

export type Options = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * Command-line options; true stands for an option without a value, false and undefined for none.
 */
export function flags(options: Options): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined || value === false) return [];
    return value === true ? [`--${name}`] : [`--${name}`, String(value)];
  });
}
