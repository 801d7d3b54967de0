import { resolve } from "node:path";
import { longestSequence, type TokenizedExample } from "../data/example.ts";
import { checkShortContext } from "../data/short-context.ts";
import { UserError } from "../errors.ts";
import { isFolder } from "../files/file-system.ts";
import type { Recipe } from "../recipe/schema.ts";
import { startingPoint } from "../runs/starting-point.ts";
import { modelPath, openModelFolder } from "../storage/folder.ts";
import type { FrozenFormat } from "../storage/frozen-parameters.ts";
import { loadLanguageModel } from "../storage/load-model.ts";
import { vocabularyDifference } from "../storage/vocabulary.ts";
import type { SharedLoadable } from "./models.ts";
import { isOverPairs } from "./objective.ts";
import type { Subject } from "./subject.ts";

/** The frozen model that others are compared with; weights are loaded later. */
export interface Reference extends SharedLoadable {
  /** Its folder, or what else it is. */
  readonly name: string;
  readonly tokenizerFolder: string;
}

/**
 * Opens the reference of a subject: the given folder, or what its run was compared with.
 *
 * @returns undefined if there is none: for a plain model folder, after supervised training, and for
 * a run with `reference: none`
 * @throws UserError if the folder is not a model, is gone, or has another vocabulary than the
 * subject.
 */
export async function openReference(subject: Subject, given: string | undefined): Promise<Reference | undefined> {
  const reference = given === undefined ? await recordedReference(subject) : await openFolder(given);
  if (!reference) return undefined;
  const [own, other] = [subject.folder.configuration.vocabularySize, reference.configuration.vocabularySize];
  const hint = "a model can be compared with a reference over the same tokens only";
  if (own === other) {
    const difference = await vocabularyDifference(subject.folder.tokenizerFolder, reference.tokenizerFolder);
    if (difference === undefined) return reference;
    const problem = `the reference ${reference.name} means other tokens by the same ids: ${difference}`;
    throw new UserError(problem, { file: subject.name, hint });
  }
  throw new UserError(`its vocabulary has ${own} tokens, that of the reference ${reference.name} ${other}`, {
    file: subject.name,
    hint,
  });
}

/**
 * Checks that examples, which fit the models' contexts, fit that of their reference as well.
 *
 * @throws UserError if they do not.
 */
export function checkContext({ name, configuration }: Reference, examples: readonly TokenizedExample[]): void {
  const { contextLength, shortContextLength } = configuration;
  const longest = longestSequence(examples);
  if (longest > contextLength) {
    const problem = `an example has ${longest} tokens, more than the context of ${contextLength} of the reference`;
    throw new UserError(problem, { file: name, hint: `cut them with \`maxLength: ${contextLength}\`` });
  }
  for (const example of examples) checkShortContext(example, { shortContextLength, name: "the reference" });
}

async function openFolder(name: string, base?: FrozenFormat): Promise<Reference> {
  const folder = await openModelFolder(modelPath(name));
  const { configuration, tokenizerFolder } = folder;
  const load: Reference["load"] = (engine, options) =>
    loadLanguageModel(engine, folder, { ...options, frozen: true, base });
  return { name, key: [resolve(folder.path), base ?? "stored"].join(" "), configuration, tokenizerFolder, load };
}

async function recordedReference({ name, folder, recipe }: Subject): Promise<Reference | undefined> {
  if (!recipe || !isOverPairs(recipe.objective) || recipe.reference === "none") return undefined;
  const path = recipe.reference ?? recipe.model;
  if (path === undefined) return untrained(name, recipe, folder.path);
  // An adapter was compared with its base as that was kept.
  if (await isFolder(path)) return openFolder(path, recipe.reference ? undefined : recipe.lora?.base);
  throw new UserError(`the reference that it was trained with, ${path}, is not there`, {
    file: name,
    hint: "give it with `reference`; recorded paths begin where the training was started",
  });
}

/** The random weights that a run began with: they follow from its recipe. */
async function untrained(name: string, recipe: Recipe, tokenizerFolder: string): Promise<Reference> {
  const { configuration, load } = await startingPoint(recipe, tokenizerFolder);
  return { name: `${name} before training`, key: `untrained ${resolve(name)}`, configuration, tokenizerFolder, load };
}
