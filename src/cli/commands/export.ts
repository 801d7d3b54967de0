import { realpath } from "node:fs/promises";
import { Command, Option } from "commander";
import { UserError } from "../../errors.ts";
import { checkWritable, isFolder } from "../../files/file-system.ts";
import { lockBeside, withLock } from "../../files/lock.ts";
import { listFolder } from "../../files/system-files.ts";
import { type ModelFolder, modelPath, openModelFolder } from "../../storage/folder.ts";
import { mergeAdapter } from "../../storage/merge-adapter.ts";
import { RoundingLoss } from "../../storage/rounding-loss.ts";
import { checkReplaceable, type LazyParameter, saveModelFolder } from "../../storage/save-folder.ts";
import { countedProgress } from "../terminal/counted-progress.ts";
import { interrupted, untilInterrupted } from "../terminal/interruption.ts";
import { shownMessage } from "../terminal/shown-text.ts";

interface Options {
  output: string;
  base?: string;
  dtype?: "float32" | "bfloat16";
  overwrite: boolean;
}

/**
 * `tokenwise export`.
 *
 * @param exit takes the exit code where it is not 0
 */
export function exportCommand(exit: (code: number) => void): Command {
  return new Command("export")
    .description("merge an adapter into its base: a whole model that needs neither")
    .argument("<adapter>", "adapter folder, or the folder of a run that trained one")
    .requiredOption("--output <folder>", "where to put the model")
    .option("--base <folder>", "the model that the adapter is for, where it is not where the adapter says")
    .addOption(
      new Option("--dtype <format>", "how numbers are stored: bfloat16 if the base is all bfloat16, or else float32")
        .choices(["float32", "bfloat16"])
        .default(undefined, "as the base"),
    )
    .option("--overwrite", "replace a model that is already there", false)
    .addHelpText("after", "\nExample:\n  tokenwise export runs/my-run --output models/merged")
    .action(async (path: string, options: Options) => {
      const done = await untilInterrupted("stopping", (signal) => run(path, options, signal));
      if (!done) exit(interrupted);
    });
}

/** @returns whether the model was written; not if Ctrl-C came first */
async function run(path: string, options: Options, signal: AbortSignal): Promise<boolean> {
  const { output } = options;
  const folder = await openModelFolder(modelPath(path), { base: options.base });
  for (const note of folder.notes) console.error(shownMessage(`note: ${note}`));
  const dtype = options.dtype ?? dtypeOf(folder);
  const loss = new RoundingLoss();
  const parameters = mergeAdapter(folder, dtype === "bfloat16" ? (...weights) => loss.add(...weights) : undefined);
  await checkOutput(output, folder, options);
  const progress = countedProgress("tensors", parameters.size);
  try {
    await withLock(await lockBeside(output), async () => {
      // Another process may just have made it.
      await checkOutput(output, folder, options);
      await saveModelFolder(output, {
        configuration: folder.configuration,
        parameters: watched(parameters, progress.update, signal),
        tokenizerFrom: folder.tokenizerFolder,
        generationFrom: folder.base!.path,
        dtype,
      });
    });
  } catch (error) {
    if (signal.aborted && error === signal.reason) return false;
    throw error;
  } finally {
    progress.clear();
  }
  const warning = loss.warning("what the adapter does", "--dtype float32 keeps them exact");
  if (warning !== undefined) console.error(shownMessage(`warning: ${warning}`));
  console.log(shownMessage(`${folder.path} merged into ${folder.base!.path}, in ${dtype}: ${output}`));
  return true;
}

/** Refuses an output that is in use, before the work rather than after it. */
async function checkOutput(output: string, { path, base }: ModelFolder, { overwrite }: Options): Promise<void> {
  await checkWritable(output, "cannot make the folder");
  if (!(await isFolder(output)) || (await listFolder(output)).length === 0) return;
  const used = await Promise.all([path, base!.path].map((source) => realpath(source)));
  if (used.includes(await realpath(output))) {
    throw new UserError("is what the model is made from", { file: output, hint: "choose another --output" });
  }
  if (!overwrite) {
    const hint = "replace it with --overwrite, or choose another --output";
    throw new UserError("exists already", { file: output, hint });
  }
  await checkReplaceable(output);
}

/** The format that loses nothing of the base: float16 has digits that bfloat16 has not. */
function dtypeOf({ base, parameters }: ModelFolder): "float32" | "bfloat16" {
  return [...(base?.parameters ?? parameters).values()].every(({ dtype }) => dtype === "BF16") ? "bfloat16" : "float32";
}

/** The same parameters, counted as they are made, until Ctrl-C. */
function watched(
  parameters: ReadonlyMap<string, LazyParameter>,
  count: (done: number) => void,
  signal: AbortSignal,
): Map<string, LazyParameter> {
  let done = 0;
  return new Map(
    Array.from(parameters, ([name, make]) => [
      name,
      async () => {
        signal.throwIfAborted();
        const data = await make();
        count(++done);
        return data;
      },
    ]),
  );
}
