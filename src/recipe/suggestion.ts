import { distance } from "fastest-levenshtein";
import { z } from "zod";
import { recipeSchema } from "./schema.ts";

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  const?: unknown;
}

/** A key of the recipe: `place` is its dotted path; `name` the value of `name` beside it, where keys depend on that. */
interface Key {
  readonly key: string;
  readonly place: string;
  readonly name: string | undefined;
}

const keys = keysBelow(z.toJSONSchema(recipeSchema, { io: "input", unrepresentable: "any" }) as JsonSchema);

/** What to do about an unknown key: use it in another place, or a key like it in the same place, or else anywhere. */
export function suggestKey(key: string, path: readonly PropertyKey[]): string | undefined {
  const prefix = path.map((step) => `${String(step)}.`).join("");
  const same = keys.filter((known) => known.key === key);
  const names = same.filter(({ place }) => place === prefix + key).map(({ name }) => `\`name: ${name}\``);
  if (names.length > 0) return `it belongs to ${[...new Set(names)].join(" and ")}`;
  const neighbours = keys.filter((known) => known.place === prefix + known.key);
  const similar =
    same[0]?.place ??
    similarOf(
      key,
      neighbours.map((known) => known.key),
    );
  if (similar) return `did you mean \`${similar}\`?`;
  const anywhere = similarOf(
    key,
    keys.map((known) => known.key),
  );
  return anywhere && `did you mean \`${keys.find((known) => known.key === anywhere)!.place}\`?`;
}

/** The one of `known` that a misspelt word is close to. */
export function similarOf(word: string, known: readonly string[]): string | undefined {
  const distances = known.map((name) => distance(plain(word), plain(name)));
  const least = Math.min(...distances);
  const similar = known[distances.indexOf(least)];
  return similar && least <= Math.max(2, 0.4 * word.length) && least < similar.length - 1 ? similar : undefined;
}

/** `learning_rate` is `learningRate` misspelt. */
function plain(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, "");
}

function keysBelow(schema: JsonSchema, path = ""): Key[] {
  return variants(schema).flatMap(({ properties = {} }) => {
    const name = properties.name?.const;
    return Object.entries(properties).flatMap(([key, below]) => [
      { key, place: path + key, name: typeof name === "string" ? name : undefined },
      ...keysBelow(below, `${path}${key}.`),
    ]);
  });
}

function variants({ anyOf = [], oneOf = [], ...schema }: JsonSchema): JsonSchema[] {
  return [schema, ...[...anyOf, ...oneOf].flatMap(variants)];
}
