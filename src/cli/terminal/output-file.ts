import { existsSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { UserError } from "../../errors.ts";
import { checkWritable } from "../../files/file-system.ts";

/**
 * Checks that a file may be written, which is better refused before the work than after it.
 *
 * @param option the one that names the file
 * @param problem what cannot be done if its folder may not be written to
 * @throws UserError where it may not, and for a file that is there already unless it is to be
 * replaced
 */
export async function checkOutputFile(
  file: string,
  { option, problem, overwrite }: { option: string; problem: string; overwrite: boolean },
): Promise<void> {
  if (existsSync(file)) {
    if (statSync(file).isDirectory()) throw new UserError("is a folder, not a file", { file });
    if (!overwrite) {
      const hint = `replace it with --overwrite, or choose another ${option}`;
      throw new UserError("exists already", { file, hint });
    }
  }
  await checkWritable(dirname(resolve(file)), problem);
}
