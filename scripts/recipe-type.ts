/** The type `RecipeInput`, written from the recipe's schema. */
import { folded, isShown, jsonSchema, type Schema, sentence, widest } from "./recipe-schema.ts";

/** The named types, by their content: a group that stands in several places is one type. */
type Named = Map<string, { readonly name: string; readonly text: string }>;

/** The text of src/recipe/recipe-input.ts. */
export function inputType(): string {
  const named: Named = new Map();
  const recipe = objectType(jsonSchema(), named, "");
  return [
    "// Written by scripts/recipe-reference.ts from schema.ts.",
    ...Array.from(named.values(), ({ name, text }) => `export type ${name} = ${text};`),
    "/** A recipe as a user writes it: keys with defaults may be left out. */",
    `export interface RecipeInput ${recipe}`,
  ]
    .join("\n\n")
    .replace("left out. */\n\n", "left out. */\n")
    .concat("\n");
}

/** The type of a key's value. Groups of keys get a name, after their key. */
function typeOf(key: string, schema: Schema, named: Named): string {
  const options = schema.anyOf ?? schema.oneOf;
  if (options?.some(({ properties }) => properties)) {
    return nameOf(
      key,
      options,
      named,
      () => `\n${options.map((each) => `  | ${objectType(each, named, "    ")}`).join("\n")}`,
    );
  }
  if (options) return options.map((option) => typeOf(key, option, named)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.properties) return nameOf(key, schema, named, () => objectType(schema, named, ""));
  if (schema.type === "array") return `readonly ${wrapped(typeOf(key, schema.items!, named))}[]`;
  const names: Record<string, string> = { string: "string", boolean: "boolean", number: "number", integer: "number" };
  return names[schema.type ?? ""] ?? "unknown";
}

function nameOf(key: string, schema: Schema | readonly Schema[], named: Named, write: () => string): string {
  const identity = JSON.stringify(schema);
  const known = named.get(identity);
  if (known) return known.name;
  const name = `${key[0]!.toUpperCase()}${key.slice(1)}Input`;
  if ([...named.values()].some((other) => other.name === name))
    throw new Error(`two groups of a recipe are named ${key}`);
  const text = write();
  named.set(identity, { name, text });
  return name;
}

function wrapped(type: string): string {
  return type.includes(" ") ? `(${type})` : type;
}

function objectType({ properties = {}, required = [] }: Schema, named: Named, indent: string): string {
  const inner = `${indent}  `;
  const lines = Object.entries(properties).flatMap(([key, schema]) => {
    const optional = required.includes(key) ? "" : "?";
    const type = `${typeOf(key, schema, named)}${optional && " | undefined"}`;
    return [...comment(schema, inner), `${inner}readonly ${key}${optional}: ${type};`];
  });
  return `{\n${lines.join("\n")}\n${indent}}`;
}

/** The description and the default as a doc comment. */
function comment({ description, default: value }: Schema, indent: string): string[] {
  const fallback = isShown(value) ? `Default: \`${JSON.stringify(value)}\`.` : "";
  const text = [description && sentence(description), fallback].filter(Boolean).join(" ");
  if (!text) return [];
  const lines = folded(text, widest - indent.length - 3);
  if (lines.length === 1 && indent.length + lines[0]!.length + 7 <= widest) return [`${indent}/** ${lines[0]} */`];
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`), `${indent} */`];
}
