import type { z } from "zod";
import { UserError } from "../errors.ts";
import { type ObjectiveOptions, objectiveNamed } from "../objectives/index.ts";
import { describeIssue } from "../recipe/issue.ts";
import { recipeSchema } from "../recipe/schema.ts";
import type { Subject } from "./subject.ts";

/** Changes to the objectives that the runs recorded. */
export interface ObjectiveChange {
  readonly name?: string | undefined;
  /** Its options, such as `beta`; undefined leaves one as it is. */
  readonly [option: string]: string | number | boolean | undefined;
}

/**
 * The objective over pairs that a model is evaluated with: the recorded one of its run, with
 * changes. A model without one gets DPO where a reference is given, so that its rewards are the
 * plain ones, and none otherwise.
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
  const changed = Object.entries(change).filter(([, value]) => value !== undefined);
  const settings = { ...(base?.name === name ? base : {}), ...Object.fromEntries(changed), name };
  const parsed = recipeSchema.shape.objective.safeParse(settings);
  if (!parsed.success) throw objectiveError(parsed.error.issues, settings);
  if (!isOverPairs(parsed.data)) throw new UserError(`${name} does not compare answers`, { field: "objective" });
  return parsed.data;
}

/** True if an objective compares a chosen with a rejected answer. */
export function isOverPairs({ name }: Pick<ObjectiveOptions, "name">): boolean {
  return objectiveNamed(name).responses === 2;
}

/** The error for wrong settings of an objective. */
function objectiveError(issues: readonly z.core.$ZodIssue[], settings: { readonly name: string }): UserError {
  const { path, atKey, problem } = describeIssue(issues, settings);
  const [key = "name"] = path;
  const field = key === "name" ? "objective" : `objective.${String(key)}`;
  return new UserError(atKey ? `${settings.name} has no such option` : problem, { field });
}
