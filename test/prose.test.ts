import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** The longest line of prose: Markdown and comments. */
const columns = 100;

const pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...filesIn("docs", /\.md$/)];

/** Folders whose comments are held to the limit, too. */
const commentFolders = ["src", "test", "bench", "examples", "scripts", "demo", "study"];

test.each(pages.filter((page) => existsSync(pathOf(page))))("%s keeps its lines short", (page) => {
  expect(longProse(textOf(page))).toEqual([]);
});

test.each(commentFolders.flatMap((folder) => filesIn(folder, /\.ts$/)))("%s keeps its comments short", (file) => {
  expect(longComments(textOf(file))).toEqual([]);
});

test("long lines are found, and what cannot be broken is let pass", () => {
  const long = "word ".repeat(25).trim();
  const link = `[${long}](page.md)`;
  const page = [long, `- ${long}`, `| ${long} |`, link, `- ${link}`, `See ${link}.`, "```", long, "```", long];
  expect(longProse(page.join("\n"))).toEqual([
    `line 1: ${long}`,
    `line 2: - ${long}`,
    `line 6: See ${link}.`,
    `line 10: ${long}`,
  ]);
  const code = [`// ${long}`, ` * ${long}`, `const a = "${long}";`, "// https://example.org/".padEnd(120, "x")];
  expect(longComments(code.join("\n"))).toEqual([`line 1: // ${long}`, `line 2: * ${long}`]);
});

/** The lines of a Markdown page that are too long. Tables and code blocks may be wider. */
function longProse(page: string): string[] {
  let inCode = false;
  return longLines(page, (line) => {
    const fence = /^\s*(```|~~~)/.test(line);
    if (fence) inCode = !inCode;
    return !inCode && !fence && !/^\s*\|/.test(line);
  });
}

/** The comment lines of a TypeScript file that are too long. */
function longComments(code: string): string[] {
  return longLines(code, (line) => /^\s*(\/\/|\/\*|\*( |\/|$))/.test(line));
}

function longLines(text: string, counts: (line: string) => boolean): string[] {
  return text
    .split("\n")
    .map((line, index) => ({ line, number: index + 1, counted: counts(line) }))
    .filter(({ line, counted }) => counted && [...line].length > columns && canBeBroken(line))
    .map(({ line, number }) => `line ${number}: ${line.trim()}`);
}

/**
 * True if a space separates two words, behind the mark of a list or comment and outside links and
 * code.
 */
function canBeBroken(line: string): boolean {
  const words = line.replace(/^[\s/*\-\d.>]+/, "").trim();
  return words.replace(/`[^`]*`|!?\[[^\]]*\]\([^)]*\)/g, "x").includes(" ");
}

function filesIn(folder: string, name: RegExp): string[] {
  const files = readdirSync(pathOf(folder), { recursive: true, encoding: "utf8" });
  return files.filter((file) => name.test(file)).map((file) => `${folder}/${file}`);
}

function textOf(file: string): string {
  return readFileSync(pathOf(file), "utf8");
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(`../${file}`, import.meta.url));
}
