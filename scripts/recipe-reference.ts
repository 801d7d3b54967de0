/**
 * Writes what follows from the recipe's schema: the reference in docs/recipes.md, the type
 * `RecipeInput`, and a JSON Schema for editors.
 *
 *     npx tsx scripts/recipe-reference.ts
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { methodsPage, methodsTable } from "./methods-page.ts";
import { folded, isShown, jsonSchema, type Schema, sentence, widest } from "./recipe-schema.ts";
import { inputType } from "./recipe-type.ts";

/** Where groups of keys were described, by their content: each is described once. */
type Described = Map<string, string>;

interface Layout {
  readonly width: number;
  readonly described: Described;
}

const place = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** The reference of all keys as Markdown, one item a key. */
export function reference(): string {
  const { properties = {}, required = [] } = jsonSchema();
  const described: Described = new Map();
  return Object.entries(properties)
    .map(([key, schema]) =>
      [`### \`${key}\``, "", ...describeKey(key, schema, required.includes(key), described)].join("\n"),
    )
    .join("\n\n");
}

function describeKey(path: string, schema: Schema, isRequired: boolean, described: Described): string[] {
  const facts = [kindOf(schema), isRequired ? "required" : defaultOf(schema)].filter(Boolean).join(", ");
  const text = [facts, schema.description]
    .filter(Boolean)
    .map((part) => sentence(part!))
    .join(" ");
  return [
    ...folded(text, widest),
    ...(schema.example === undefined ? [] : ["", "```yaml", ...yamlOf(path, schema.example), "```"]),
    ...variantsOf(path, schema, { width: widest, described }),
  ];
}

/** The keys below a group, or below each variant of it. */
function variantsOf(path: string, schema: Schema, { width, described }: Layout): string[] {
  const options = (schema.oneOf ?? schema.anyOf ?? []).filter(({ properties }) => properties);
  if (options.length === 0) return schema.properties ? ["", ...itemsOf(path, schema, { width, described })] : [];
  return options.flatMap((option) => {
    const [[tag, { const: value }]] = Object.entries(option.properties!) as [[string, Schema]];
    const title = `**\`${tag}: ${value}\`**${option.description ? `: ${option.description}` : ""}`;
    return [
      "",
      ...folded(title, width),
      ...prefixed(itemsOf(path, option, { width, described, variant: { tag, value } })),
    ];
  });
}

function prefixed(items: string[]): string[] {
  return items.length > 0 ? ["", ...items] : [];
}

function itemsOf(
  path: string,
  { properties = {}, required = [] }: Schema,
  { width, described, variant }: Layout & { readonly variant?: { readonly tag: string; readonly value: unknown } },
): string[] {
  const place = variant && `\`${variant.tag}: ${variant.value}\``;
  return Object.entries(properties)
    .filter(([key]) => key !== variant?.tag)
    .flatMap(([key, schema]) => {
      const facts = [kindOf(schema), required.includes(key) ? "required" : defaultOf(schema)]
        .filter(Boolean)
        .join(", ");
      const identity = JSON.stringify(schema);
      const earlier = hasKeys(schema) ? described.get(identity) : undefined;
      const again = earlier ? `; as with ${earlier}` : "";
      const text = `- \`${path}.${key}\` (${facts})${schema.description ? `: ${schema.description}` : ""}${again}`;
      if (earlier) return folded(text, width, "  ");
      if (place) described.set(identity, place);
      const below = variantsOf(`${path}.${key}`, schema, { width: width - 2, described });
      return [...folded(text, width, "  "), ...below.map((line) => (line ? `  ${line}` : line))];
    });
}

/** Whether there are keys below. */
function hasKeys({ properties, oneOf, anyOf }: Schema): boolean {
  return properties !== undefined || (oneOf ?? anyOf ?? []).some((option) => option.properties !== undefined);
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

/** Every file that follows from the schema or the objectives, with what it should hold. */
export function generated(): { path: string; text: string }[] {
  const [page, readme] = [place("docs/recipes.md"), place("README.md")];
  const marks = /(<!-- keys -->\n)[\s\S]*?(\n<!-- end of keys -->)/;
  const text = readFileSync(page, "utf8").replace(marks, (_, begin: string, end: string) => begin + reference() + end);
  return [
    { path: page, text },
    { path: place("src/recipe/recipe-input.ts"), text: inputType() },
    { path: place("docs/methods.md"), text: methodsPage() },
    {
      path: readme,
      text: readFileSync(readme, "utf8").replace(/\| objective +\|[\s\S]*?(?=\n\n)/, () => methodsTable()),
    },
    { path: place("docs/recipe.schema.json"), text: `${JSON.stringify(jsonSchema(), undefined, 2)}\n` },
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const { path, text } of generated()) writeFileSync(path, text);
