import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RunExamples } from "../data/prepare.ts";
import { UserError } from "../errors.ts";
import { openEstimates } from "../importance/estimates-file.ts";
import { weighExamples } from "../importance/weigh-examples.ts";
import type { Recipe } from "../recipe/schema.ts";
import { tokenizerFingerprint } from "../storage/fingerprint.ts";
import { contrastiveFolderName } from "./run-folder.ts";

/** A recipe that asks for importance weights. */
export type WeightedRecipe = Recipe & { weights: NonNullable<Recipe["weights"]> };

export function isWeighted(recipe: Recipe): recipe is WeightedRecipe {
  return recipe.weights !== undefined;
}

/**
 * The folder of the contrastive models and their estimates: inside the run's folder unless the
 * recipe names another.
 */
export function contrastiveFolder({ output, weights }: WeightedRecipe): string {
  return (weights.from === "file" ? undefined : weights.folder) ?? join(output, contrastiveFolderName);
}

/** The file with the estimates that a recipe's weights are made from. */
export function estimatesFile(recipe: WeightedRecipe): string {
  const { weights } = recipe;
  return weights.from === "file" ? weights.file : join(contrastiveFolder(recipe), "estimates.safetensors");
}

/** True if the estimates are there. */
export function isEstimated(recipe: WeightedRecipe): boolean {
  return existsSync(estimatesFile(recipe));
}

/**
 * Gives the examples of a run their importance weights.
 *
 * @throws UserError where the estimates are missing, of another tokenizer, or not of these
 * examples.
 */
export async function weighRun(
  recipe: WeightedRecipe,
  tokenizerFolder: string,
  { train, heldOut }: Pick<RunExamples, "train" | "heldOut">,
): Promise<Pick<RunExamples, "train" | "heldOut">> {
  const file = estimatesFile(recipe);
  if (!existsSync(file)) {
    const hint = recipe.weights.from === "file" ? "`tokenwise weigh` writes it" : "run `tokenwise weigh` first";
    throw new UserError("there are no estimates for the weights", { file, hint });
  }
  const estimates = await openEstimates(file);
  const tokenizer = await tokenizerFingerprint(tokenizerFolder);
  if (estimates.identity.tokenizer !== undefined && estimates.identity.tokenizer !== tokenizer) {
    const hint = "weights belong to tokens: estimate them again with this model's tokenizer";
    throw new UserError("was estimated with another tokenizer", { file, hint });
  }
  const { from, transform } = recipe.weights;
  if (from !== "file" && estimates.identity.from !== from) {
    const problem = `holds estimates from ${estimates.identity.from}, the recipe asks for ${from}`;
    throw new UserError(problem, { file, hint: "run `tokenwise weigh` first" });
  }
  const all = await weighExamples([...train, ...heldOut], estimates, { transform, seed: recipe.seed });
  return { train: all.slice(0, train.length), heldOut: all.slice(train.length) };
}
