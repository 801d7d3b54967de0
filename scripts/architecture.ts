/**
 * Writes the generated parts of docs/architecture.md: the picture of the rooms and the table of
 * what each holds.
 *
 *     npx tsx scripts/architecture.ts
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { floors, importsOf, roomOf, sourceFiles } from "./rooms.ts";

const page = fileURLToPath(new URL("../docs/architecture.md", import.meta.url));

/**
 * Single files at the top of `src/` that nearly every room uses: drawn as one box without arrows.
 */
const isFile = (room: string) => room.endsWith(".ts") && room !== "index.ts";

/** For each room, the other rooms that it imports from. */
function dependencies(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const file of sourceFiles) {
    const from = roomOf(file);
    const targets = importsOf(file)
      .map(roomOf)
      .filter((to) => to !== from && !isFile(to));
    if (!isFile(from)) found.set(from, new Set([...(found.get(from) ?? []), ...targets]));
  }
  return found;
}

/** Whether `to` is reached from `from` by way of another room. */
function isImplied(all: Map<string, Set<string>>, from: string, to: string): boolean {
  const seen = new Set<string>([from]);
  const queue = [...all.get(from)!].filter((next) => next !== to);
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (next === to) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    queue.push(...(all.get(next) ?? []));
  }
  return false;
}

/** The rooms as a Mermaid flowchart, without the arrows that follow from others. */
export function picture(): string {
  const all = dependencies();
  const sharing = (room: string) => floors.find((rooms) => rooms.some(({ name }) => name === room))!;
  const names = floors.flat().map(({ name }) => name);
  const shown = names.filter((name) => !isFile(name)).reverse();
  const arrows = shown.flatMap((from) =>
    [...all.get(from)!]
      .filter((to) => sharing(from) !== sharing(to) && !isImplied(all, from, to))
      .sort((a, b) => shown.indexOf(a) - shown.indexOf(b))
      .map((to) => `  ${id(from)} --> ${id(to)}`),
  );
  const boxes = shown.map((name) => `  ${id(name)}["${name}"]`);
  return ["```mermaid", "flowchart TD", ...boxes, ...arrows, "```"].join("\n");
}

/** The rooms as a table, from the top down. */
export function table(): string {
  const rows = floors
    .flat()
    .reverse()
    .map(({ name, purpose }) => `| \`${name}\` | ${purpose} |`);
  return ["| room | what it holds |", "| --- | --- |", ...rows].join("\n");
}

/** The page with its generated parts renewed. */
export function renewed(text: string): string {
  const parts: Record<string, () => string> = { picture, table };
  return Object.entries(parts).reduce((page, [name, make]) => {
    const marks = new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(\n<!-- end of ${name} -->)`);
    if (!marks.test(page)) throw new Error(`docs/architecture.md has no marks for its ${name}`);
    return page.replace(marks, (_, begin: string, end: string) => begin + make() + end);
  }, text);
}

function id(room: string): string {
  return room.replace(/\W/g, "_");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, renewed(readFileSync(page, "utf8")));
