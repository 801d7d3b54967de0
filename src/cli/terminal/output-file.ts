import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { UserError } from "../../errors.ts";
import { checkWritable } from "../../files/file-system.ts";

/**
 * Checks that a file may be written, which is better refused before the work than after it.
 *
 * @param option the one that names the file
 * @param problem what cannot be done if its folder may not be written to
 * @param inputs files that the work reads, which its output must not take the place of
 * @throws UserError where it may not, for a file that is there already unless it is to be replaced,
 * and for an input
 */
export async function checkOutputFile(
  file: string,
  {
    option,
    problem,
    overwrite,
    inputs = [],
  }: { option: string; problem: string; overwrite: boolean; inputs?: readonly string[] },
): Promise<void> {
  if (existsSync(file)) {
    if (statSync(file).isDirectory()) throw new UserError("is a folder, not a file", { file });
    const isInput = inputs.some((input) => existsSync(input) && realpathSync(input) === realpathSync(file));
    if (isInput) throw new UserError("is the data itself", { file, hint: `choose another ${option}` });
    if (!overwrite) {
      const hint = `replace it with --overwrite, or choose another ${option}`;
      throw new UserError("exists already", { file, hint });
    }
  }
  await checkWritable(dirname(resolve(file)), problem);
}
