/**
 * Paths as users write them, in recipes and on the command line, where no shell may have read them.
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";

/**
 * A path with a leading `~` replaced by the home folder. Shells do this, but not in YAML and not
 * after `=`.
 */
export function expandHome(path: string): string {
  return /^~([\\/]|$)/.test(path) ? join(homedir(), path.slice(1)) : path;
}

/**
 * Parts of a path that a shell would replace and we do not: `~name`, `$NAME`, `${NAME}`, `%NAME%`.
 * A file or folder of just that name may be meant, so one that is there is no problem.
 */
export function pathProblem(path: string): { problem: string; hint: string } | undefined {
  const hint = "write the path out";
  if (path === "") return { problem: "a path must not be empty", hint };
  if (path.includes("\0")) return { problem: "a path cannot hold the character NUL", hint };
  if (path.startsWith("~") && expandHome(path) === path) {
    const [user] = path.split(/[\\/]/, 1);
    if (!existsSync(user!)) return { problem: `${quoted(user)} is not looked up, only ~/ is`, hint };
  }
  const variable = /\$\{\w+\}|\$[A-Z_][A-Z0-9_]*|\$env:\w+|(?<=^|[\\/])%[A-Za-z_]\w*%/.exec(path);
  if (!variable) return undefined;
  const [before, after] = [path.slice(0, variable.index), path.slice(variable.index)];
  if (existsSync(expandHome(before + after.split(/[\\/]/, 1)[0]))) return undefined;
  return { problem: `${quoted(variable[0])} is a variable of the shell and is not replaced here`, hint };
}

/**
 * The path that a user means.
 *
 * @throws UserError for one that only a shell understands.
 */
export function userPath(path: string): string {
  const { problem, hint } = pathProblem(path) ?? {};
  if (problem !== undefined) throw new UserError(problem, { file: path, ...(hint && { hint }) });
  return expandHome(path);
}
