/**
 * Writes what follows from the recipe's schema: the reference in docs/recipes.md, the type
 * `RecipeInput`, and a JSON Schema for editors.
 *
 *     npx tsx scripts/recipe-reference.ts
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { recipeSchema } from "../src/recipe/schema.ts";

/** The parts of JSON Schema that a recipe's schema uses. */
interface Schema {
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

const place = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const widest = 100;

/** The recipe's schema as JSON Schema, for values as a user gives them. */
export function jsonSchema(): Schema {
  const schema = z.toJSONSchema(recipeSchema, { io: "input", unrepresentable: "any" });
  // Whole numbers have JavaScript's own limit, which says nothing to a reader.
  return JSON.parse(JSON.stringify(schema), (key, value) =>
    key === "role" || (/^(max|min)imum$/.test(key) && Math.abs(value) === Number.MAX_SAFE_INTEGER) ? undefined : value,
  ) as Schema;
}

/** The TypeScript type of a value. */
function typeOf(schema: Schema, indent: string): string {
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return options.map((option) => typeOf(option, indent)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.properties) return objectType(schema, indent);
  if (schema.type === "array") return `readonly ${wrapped(typeOf(schema.items!, indent))}[]`;
  const names: Record<string, string> = { string: "string", boolean: "boolean", number: "number", integer: "number" };
  return names[schema.type ?? ""] ?? "unknown";
}

function wrapped(type: string): string {
  return type.includes(" ") ? `(${type})` : type;
}

function objectType({ properties = {}, required = [] }: Schema, indent: string): string {
  const inner = `${indent}  `;
  const lines = Object.entries(properties).flatMap(([key, schema]) => {
    const optional = required.includes(key) ? "" : "?";
    const type = `${typeOf(schema, inner)}${optional && " | undefined"}`;
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

/** A default that says something: groups of keys show those of their keys. */
function isShown(value: unknown): boolean {
  return value !== undefined && (typeof value !== "object" || value === null);
}

/** The text of src/recipe/recipe-input.ts. */
export function inputType(): string {
  return `// Written by scripts/recipe-reference.ts from schema.ts.

/** A recipe as a user writes it: keys with defaults may be left out. */
export interface RecipeInput ${objectType(jsonSchema(), "")}
`;
}

/** The reference of all keys as Markdown, one item a key. */
export function reference(): string {
  const { properties = {}, required = [] } = jsonSchema();
  return Object.entries(properties)
    .map(([key, schema]) => [`### \`${key}\``, "", ...describeKey(key, schema, required.includes(key))].join("\n"))
    .join("\n\n");
}

function describeKey(path: string, schema: Schema, isRequired: boolean): string[] {
  const facts = [kindOf(schema), isRequired ? "required" : defaultOf(schema)].filter(Boolean).join(", ");
  const text = [facts, schema.description]
    .filter(Boolean)
    .map((part) => sentence(part!))
    .join(" ");
  return [
    ...folded(text, widest),
    ...(schema.example === undefined ? [] : ["", "```yaml", ...yamlOf(path, schema.example), "```"]),
    ...variantsOf(path, schema),
  ];
}

/** A text with a capital letter and a full stop. */
function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** The keys below a group, or below each variant of it. */
function variantsOf(path: string, schema: Schema, width = widest): string[] {
  const options = (schema.oneOf ?? schema.anyOf ?? []).filter(({ properties }) => properties);
  if (options.length === 0) return schema.properties ? ["", ...itemsOf(path, schema, { width })] : [];
  return options.flatMap((option) => {
    const [[tag, { const: value }]] = Object.entries(option.properties!) as [[string, Schema]];
    const title = `**\`${tag}: ${value}\`**${option.description ? `: ${option.description}` : ""}`;
    return ["", ...folded(title, width), ...prefixed(itemsOf(path, option, { width, without: tag }))];
  });
}

function prefixed(items: string[]): string[] {
  return items.length > 0 ? ["", ...items] : [];
}

function itemsOf(
  path: string,
  { properties = {}, required = [] }: Schema,
  { width, without }: { width: number; without?: string },
): string[] {
  return Object.entries(properties)
    .filter(([key]) => key !== without)
    .flatMap(([key, schema]) => {
      const facts = [kindOf(schema), required.includes(key) ? "required" : defaultOf(schema)]
        .filter(Boolean)
        .join(", ");
      const text = `- \`${path}.${key}\` (${facts})${schema.description ? `: ${schema.description}` : ""}`;
      const below = variantsOf(`${path}.${key}`, schema, width - 2).map((line) => (line ? `  ${line}` : line));
      return [...folded(text, width, "  "), ...below];
    });
}

function kindOf(schema: Schema): string {
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return [...new Set(options.map(kindOf))].join(" or ");
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(" or ");
  if (schema.type === "array") return "list";
  const kinds: Record<string, string> = { string: "text", integer: "whole number", object: "group of keys" };
  return kinds[schema.type ?? ""] ?? schema.type ?? "";
}

function defaultOf({ default: value }: Schema): string {
  return isShown(value) ? `default \`${value}\`` : "";
}

function yamlOf(path: string, example: unknown): string[] {
  if (typeof example === "object" && example !== null && !Array.isArray(example)) {
    const keys = Object.entries(example).map(([key, value]) => `${key}: ${scalar(value)}`);
    return [`${path}: { ${keys.join(", ")} }`];
  }
  return [`${path}: ${scalar(example)}`];
}

function scalar(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Text in lines of at most `width` columns; lines after the first begin with `hanging`. */
function folded(text: string, width: number, hanging = ""): string[] {
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

/** Every file that follows from the schema, with the content that it should have. */
export function generated(): { path: string; text: string }[] {
  const page = place("docs/recipes.md");
  const marks = /(<!-- keys -->\n)[\s\S]*?(\n<!-- end of keys -->)/;
  const text = readFileSync(page, "utf8").replace(marks, (_, begin: string, end: string) => begin + reference() + end);
  return [
    { path: page, text },
    { path: place("src/recipe/recipe-input.ts"), text: inputType() },
    { path: place("docs/recipe.schema.json"), text: `${JSON.stringify(jsonSchema(), undefined, 2)}\n` },
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const { path, text } of generated()) writeFileSync(path, text);
