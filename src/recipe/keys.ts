import { z } from "zod";
import { recipeSchema } from "./schema.ts";

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  const?: unknown;
}

/** The choice that a group's other keys depend on, such as `name: dpo`. */
interface Variant {
  readonly key: string;
  readonly value: string;
}

/**
 * A key of the recipe: `place` is its dotted path, `variant` what must stand beside it, where that
 * matters.
 */
interface Key {
  readonly key: string;
  readonly place: string;
  readonly variant: Variant | undefined;
}

/** Every key that a recipe may have, once for each variant that has it. */
export const keys = keysBelow(z.toJSONSchema(recipeSchema, { io: "input", unrepresentable: "any" }) as JsonSchema);

/**
 * The keys that lose their meaning when the one at `path` becomes `value`: those beside it that
 * belong to other variants only. None where `path` decides on no variant, or `value` is none of
 * them.
 */
export function keysOfOtherVariants(path: readonly string[], value: unknown): Set<string> {
  const beside = [...path.slice(0, -1), ""].join(".");
  const group = keys.filter(({ key, place, variant }) => place === beside + key && variant?.key === path.at(-1));
  const own = new Set(group.filter(({ variant }) => variant!.value === value).map(({ key }) => key));
  const others = own.size > 0 ? group.filter(({ key }) => !own.has(key)) : [];
  return new Set(others.map(({ key }) => key));
}

function keysBelow(schema: JsonSchema, path = ""): Key[] {
  return variants(schema).flatMap(({ properties = {} }) => {
    const variant = Object.entries(properties)
      .map(([key, { const: value }]) => ({ key, value }))
      .find((candidate): candidate is Variant => typeof candidate.value === "string");
    return Object.entries(properties).flatMap(([key, below]) => [
      { key, place: path + key, variant },
      ...keysBelow(below, `${path}${key}.`),
    ]);
  });
}

function variants({ anyOf = [], oneOf = [], ...schema }: JsonSchema): JsonSchema[] {
  return [schema, ...[...anyOf, ...oneOf].flatMap(variants)];
}
