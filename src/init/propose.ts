import { existsSync } from "node:fs";
import { totalmem } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { UserError } from "../errors.ts";
import { type ObjectiveName, objectiveNamed } from "../objectives/index.ts";
import { parseRecipe } from "../recipe/parse.ts";
import type { Recipe } from "../recipe/schema.ts";
import { choose } from "./choose.ts";
import { type Columns, inspectData, inspectFormat, inspectModel } from "./inspect.ts";
import { type Fitting, recipeText } from "./recipe-text.ts";

export interface ProposeOptions {
  /** A model folder, or a run's. */
  readonly model: string;
  /** Files of pairs or of texts. */
  readonly data: readonly string[];
  /** Default: `tdpo2` for pairs, `sft` for texts. */
  readonly objective?: ObjectiveName | undefined;
  readonly columns?: Columns | undefined;
  /** Told how many records of how many are tokenized. */
  readonly onProgress?: (done: number, total: number) => void;
  /** The memory of the machine to train on; this one's by default. */
  readonly machineBytes?: number | undefined;
}

/** A recipe that fits a model and its data, and what it rests on. */
export interface Proposal extends Fitting {
  /** The YAML text, with what was found in comments. */
  readonly text: string;
  readonly recipe: Recipe;
}

/**
 * Looks at a model and at data, and writes a recipe that fits them. Paths stand in it as they were
 * given.
 *
 * @throws UserError for anything wrong with the model or the data, and for an objective that the
 * data does not serve.
 */
export async function proposeRecipe(options: ProposeOptions): Promise<Proposal> {
  const { columns = {}, onProgress, machineBytes = totalmem() } = options;
  const model = await inspectModel(options.model);
  const source = await inspectFormat(options.data, columns);
  const name = options.objective ?? (source.form.responses.includes(2) ? "tdpo2" : "sft");
  const objective = objectiveNamed(name).create();
  if (!source.form.responses.includes(objective.responses))
    throw new UserError(`${name} needs pairs, but ${source.files[0]} holds ${source.form.items}`, {
      field: "objective",
      hint: `${source.form.items} serve sft only`,
    });
  const data = await inspectData(source, model, objective, onProgress);
  const choices = choose(model, data, objective, machineBytes);
  const fitting = {
    model,
    data,
    objective: name,
    choices,
    machineBytes,
    output: freeFolder(`runs/${shortName(model.path)}-${name}`),
  };
  const text = recipeText(fitting);
  return { ...fitting, text, recipe: parseOwn(text) };
}

/** Parses a recipe that we wrote. If it is not valid, the fault is ours and not the user's. */
function parseOwn(text: string): Recipe {
  try {
    return parseRecipe(text, "the proposed recipe");
  } catch (error) {
    throw new Error(`the proposed recipe is not valid:\n${text}`, { cause: error });
  }
}

/** A short name for a model: its folder's name, or that of its run. */
function shortName(path: string): string {
  const folder = resolve(path);
  const isOfRun = basename(folder) === "model" && existsSync(join(folder, "..", "recipe.yaml"));
  return basename(isOfRun ? dirname(folder) : folder).replace(/[^\w.-]+/g, "-") || "model";
}

/** The folder, or the first numbered one like it, that is not there yet. */
function freeFolder(folder: string): string {
  let free = folder;
  for (let number = 2; existsSync(free); number++) free = `${folder}-${number}`;
  return free;
}
