import type { z } from "zod";
import { UserError } from "../errors.ts";
import { negate } from "../graph/ops/elementwise.ts";
import { createObjective, type ObjectiveOptions } from "../objectives/index.ts";
import { type Objective, sequenceSum } from "../objectives/objective.ts";
import { describeIssue } from "../recipe/issue.ts";
import { recipeSchema } from "../recipe/schema.ts";
import type { Subject } from "./subject.ts";

/** What to change about the objectives that the runs recorded. */
export interface ObjectiveChange {
  readonly name?: string | undefined;
  readonly beta?: number | undefined;
  readonly alpha?: number | undefined;
}

/** Measures answers without a reference; its loss, the negative log-probability of the chosen answer, is not shown. */
export const logProbabilities: Objective = {
  name: "log-probabilities",
  responses: 2,
  reference: "none",
  mean: "examples",
  evaluate: ([chosen]) => ({ losses: negate(sequenceSum(chosen!.policyLogp)) }),
};

/**
 * The objective over pairs that a model is evaluated with: the recorded one of its run, with changes. A model without one gets DPO where a
 * reference is given, so that its rewards are the plain ones, and none otherwise.
 *
 * @throws UserError for an objective that is unknown, not over pairs, or has no such option.
 */
export function objectiveFor(
  { recipe }: Pick<Subject, "recipe">,
  change: ObjectiveChange,
  referenceGiven: boolean,
): ObjectiveOptions | undefined {
  const recorded = recipe && isOverPairs(recipe.objective) ? recipe.objective : undefined;
  const base = recorded ?? (referenceGiven ? { name: "dpo" } : undefined);
  const name = change.name ?? base?.name;
  if (!name) return undefined;
  const { beta, alpha } = change;
  const settings = {
    ...(base?.name === name ? base : { name }),
    ...(beta !== undefined && { beta }),
    ...(alpha !== undefined && { alpha }),
  };
  const parsed = recipeSchema.shape.objective.safeParse(settings);
  if (!parsed.success) throw objectiveError(parsed.error.issues, settings);
  if (!isOverPairs(parsed.data)) throw new UserError(`${name} does not compare answers`, { field: "--objective" });
  return parsed.data;
}

/** Whether an objective compares a chosen with a rejected answer. */
export function isOverPairs(options: ObjectiveOptions): boolean {
  return createObjective(options).responses === 2;
}

/** What is wrong with the settings of an objective, in the words of the command line. */
function objectiveError(issues: readonly z.core.$ZodIssue[], settings: { readonly name: string }): UserError {
  const { path, atKey, problem } = describeIssue(issues, settings);
  const [key = "name"] = path;
  if (atKey) return new UserError(`${settings.name} has no such option`, { field: `--${String(key)}` });
  return new UserError(problem, { field: key === "name" ? "--objective" : `--${String(key)}` });
}
