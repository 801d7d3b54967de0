import { basename } from "node:path";
import { UserError } from "../errors.ts";
import { freeBytes, isDiskFull } from "../files/file-system.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Optimizer } from "../step/optimizer.ts";
import type { FolderFiles } from "../storage/save-folder.ts";
import { mebibytes } from "../words.ts";

/** The sizes of what a run writes, in bytes. */
export interface RunSizes {
  readonly checkpoint: number;
  readonly model: number;
}

/** The sizes of what a run writes, but for a few kilobytes of names and settings. */
export function runSizes(
  { trainable }: Pick<LanguageModel, "trainable">,
  { state }: Pick<Optimizer, "state">,
  companions: FolderFiles,
  dtype: "float32" | "bfloat16",
): RunSizes {
  const count = (values: ReadonlyMap<string, { readonly data: { readonly length: number } }>) =>
    Array.from(values.values(), ({ data }) => data.length).reduce((sum, length) => sum + length, 0);
  const files = Array.from(companions.values(), ({ length }) => length).reduce((sum, length) => sum + length, 0);
  const parameters = count(trainable);
  return {
    checkpoint: 4 * (parameters + count(state)) + files,
    model: (dtype === "bfloat16" ? 2 : 4) * parameters + files,
  };
}

/**
 * Checks that a run has room for its model and for two checkpoints: the new one is whole before the
 * old one goes. Where the system does not tell how much is free, nothing is checked.
 *
 * @param options.there what the folder holds and the run replaces, in bytes
 * @throws UserError otherwise.
 */
export async function checkRoom(folder: string, { checkpoint, model }: RunSizes, there: number): Promise<void> {
  const needed = 2 * checkpoint + model;
  const free = await freeBytes(folder);
  if (free === undefined || needed <= free + there) return;
  const hint = "free some, or choose another `output`";
  const figures = `two checkpoints and the model take ${mebibytes(needed)}, ${mebibytes(free + there)} are free`;
  throw new UserError(`the disk is too full: ${figures}`, { file: folder, field: "output", hint });
}

/**
 * Saves a checkpoint if the disk has room for it. A run goes on without one: room may be made until
 * the next.
 *
 * @returns why it was not saved; undefined if it was
 */
export async function saveIfRoom(
  folder: string,
  { checkpoint }: RunSizes,
  save: () => Promise<void>,
): Promise<string | undefined> {
  const takes = `it takes ${mebibytes(checkpoint)}`;
  const free = await freeBytes(folder);
  if (free !== undefined && checkpoint > free) return `${takes}, ${mebibytes(free)} are free`;
  try {
    await save();
    return undefined;
  } catch (error) {
    // Others may have written in the meantime; quotas show only here.
    if (isDiskFull(error)) return takes;
    throw error;
  }
}

/**
 * The error of a run whose trained model does not fit on the disk: how to come by it all the same.
 */
export function modelWithoutRoom(
  file: string,
  { model }: RunSizes,
  checkpoint: string | undefined,
  cause: unknown,
): UserError {
  const hint = checkpoint
    ? `make room, and continue the run with \`resume\`: it goes on from ${basename(checkpoint)}`
    : "there is no checkpoint to go on from: make room, and start the run again with `overwrite`";
  return new UserError(`the disk is too full for the trained model, which takes ${mebibytes(model)}`, {
    ...{ file, hint, cause },
  });
}
