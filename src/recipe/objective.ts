import { createObjective } from "../objectives/index.ts";
import type { Objective } from "../objectives/objective.ts";
import { withImportanceWeights } from "../objectives/token-rules.ts";
import type { Recipe } from "./schema.ts";

/**
 * The objective of a recipe, with importance weights where the recipe has them.
 *
 * @param objective another one than the recipe names
 */
export function objectiveOf(
  recipe: Pick<Recipe, "objective" | "weights">,
  objective: Objective = createObjective(recipe.objective),
): Objective {
  return recipe.weights ? withImportanceWeights(objective) : objective;
}
