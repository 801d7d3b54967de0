import type { z } from "zod";
import { fromTrl } from "../objectives/trl.ts";
import { quoted } from "../one-line.ts";
import { similarOf, suggestKey } from "./suggestion.ts";

/** Something wrong with a recipe. */
export interface Issue {
  readonly path: readonly PropertyKey[];
  /** True if the key itself is wrong, not its value. */
  readonly atKey?: boolean;
  readonly problem: string;
  readonly hint?: string | undefined;
}

/**
 * The issue to show, in the recipe's own words: an unknown key first, since a misspelt key is
 * missing under its right name as well.
 *
 * @param recipe what was checked
 */
export function describeIssue(issues: readonly z.core.$ZodIssue[], recipe: unknown): Issue {
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0]!;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
  if (issue.code === "unrecognized_keys") {
    const [key] = issue.keys as [string];
    return {
      path: [...issue.path, key],
      atKey: true,
      problem: `unknown key${more}`,
      hint: suggestKey(key, issue.path),
    };
  }
  const found = issue.path.reduce<unknown>((value, step) => (value as Record<PropertyKey, unknown>)?.[step], recipe);
  const { problem, hint } = describe(issue, found);
  return { path: issue.path, problem: `${problem}${more}`, hint };
}

function describe(issue: z.core.$ZodIssue, found: unknown): { problem: string; hint?: string | undefined } {
  const options = optionsOf(issue);
  if (found === undefined)
    return { problem: "is missing", ...(options && { hint: `give one of ${options.join(", ")}` }) };
  const but = `, found ${quoted(found)}`;
  if (options) {
    const here = issue.path.at(-1) === "name" ? fromTrl(String(found), options) : undefined;
    const similar = similarOf(String(found), options);
    return {
      problem: `must be one of ${options.join(", ")}${but}`,
      hint: here ? `TRL's \`${found}\` is \`${here}\`` : similar && `did you mean \`${similar}\`?`,
    };
  }
  switch (issue.code) {
    case "invalid_type": {
      const hint = issue.expected === "object" && typeof found === "string" ? "write its keys below it" : undefined;
      return { problem: `must be ${kinds[issue.expected] ?? issue.expected}${but}`, hint };
    }
    case "too_small":
    case "too_big": {
      if (issue.origin === "string" || issue.origin === "array") return { problem: "must not be empty" };
      const limit = issue.code === "too_small" ? issue.minimum : issue.maximum;
      const words = issue.code === "too_small" ? ["at least", "greater than"] : ["at most", "less than"];
      const hint = /^Too |^Invalid /.test(issue.message) ? undefined : issue.message;
      return { problem: `must be ${words[issue.inclusive ? 0 : 1]} ${limit}${but}`, hint };
    }
    case "custom": {
      const hint = issue.params?.hint as string | undefined;
      return { problem: hint === undefined ? `${issue.message}${but}` : issue.message, hint };
    }
    default:
      return { problem: `${issue.message}${but}` };
  }
}

/** The values that a key may have, if they can be listed. */
function optionsOf(issue: z.core.$ZodIssue): string[] | undefined {
  if (issue.code === "invalid_value") return issue.values.map(String);
  if (issue.code !== "invalid_union" || !("discriminator" in issue)) return undefined;
  return Array.from(issue.message.matchAll(/'([^']+)'/g), ([, option]) => option!);
}

const kinds: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "a group of keys",
  array: "a list",
};
