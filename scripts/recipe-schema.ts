/** The recipe's schema as JSON Schema, and what its two readers (the page and the type) share. */
import { z } from "zod";
import { recipeSchema } from "../src/recipe/schema.ts";

/** Columns of a line in what is written. */
export const widest = 100;

/** The parts of JSON Schema that a recipe's schema uses. */
export interface Schema {
  readonly description?: string;
  /** A value to show. */
  readonly example?: unknown;
  readonly default?: unknown;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

/** The recipe's schema as JSON Schema, for values as a user gives them. */
export function jsonSchema(): Schema {
  const schema = z.toJSONSchema(recipeSchema, { io: "input", unrepresentable: "any" });
  // Whole numbers have JavaScript's own limit, which says nothing to a reader.
  return JSON.parse(JSON.stringify(schema), (key, value) =>
    key === "role" || (/^(max|min)imum$/.test(key) && Math.abs(value) === Number.MAX_SAFE_INTEGER) ? undefined : value,
  ) as Schema;
}

/** A default that says something: groups of keys show those of their keys. */
export function isShown(value: unknown): boolean {
  return value !== undefined && (typeof value !== "object" || value === null);
}

/** A text with a capital letter and a full stop. */
export function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** Text in lines of at most `width` columns; lines after the first begin with `hanging`. */
export function folded(text: string, width: number, hanging = ""): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    const longer = line ? `${line} ${word}` : `${lines.length > 0 ? hanging : ""}${word}`;
    if (longer.length > width && line) {
      lines.push(line);
      line = `${hanging}${word}`;
    } else line = longer;
  }
  return line ? [...lines, line] : lines;
}
