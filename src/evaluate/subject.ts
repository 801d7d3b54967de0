import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import { UserError } from "../errors.ts";
import { readRecipe } from "../recipe/parse.ts";
import type { Recipe } from "../recipe/schema.ts";
import { checkpointModel, listCheckpoints } from "../runs/checkpoint.ts";
import { RunFolder } from "../runs/run-folder.ts";
import { isModelFolder, type ModelFolder, modelPath, openModelFolder } from "../storage/folder.ts";
import { loadModelTokenizer } from "../storage/model-tokenizer.ts";

/** A model to evaluate; its weights are not loaded yet. */
export interface Subject {
  /** The path that it was asked for by. */
  readonly name: string;
  readonly folder: ModelFolder;
  readonly tokenizer: Tokenizer;
  /** The recipe of the run that trained it; undefined for a plain model folder. */
  readonly recipe: Recipe | undefined;
  /** Notes about it for the user. */
  readonly notes: readonly string[];
}

/**
 * Opens a model folder, or the folder of a run: its trained model, or the newest checkpoint of a
 * run that has not finished.
 *
 * @throws UserError for what is neither, or a run without a model.
 */
export async function openSubject(name: string): Promise<Subject> {
  const recipeFile = join(name, "recipe.yaml");
  const isRun = existsSync(recipeFile) && !isModelFolder(name);
  const recipe = isRun ? await readRecipe(recipeFile) : undefined;
  const { path, note } = isRun ? await modelOfRun(name) : { path: modelPath(name), note: undefined };
  const folder = await openModelFolder(path);
  const tokenizer = await loadModelTokenizer(folder);
  return { name, folder, tokenizer, recipe, notes: [...(note ? [note] : []), ...folder.notes, ...tokenizer.warnings] };
}

async function modelOfRun(name: string): Promise<{ path: string; note: string | undefined }> {
  const run = new RunFolder(name);
  if (existsSync(run.model)) return { path: run.model, note: undefined };
  const newest = (await listCheckpoints(run.checkpoints)).at(-1);
  if (newest) return { path: checkpointModel(newest), note: `${name} has not finished: this is ${newest}` };
  throw new UserError("is a run without a model: it has neither finished nor written a checkpoint", { file: name });
}
