/** The pages name every objective and every option that a recipe can have. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { objectives } from "../src/objectives/index.ts";

const page = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), "utf8");

test.each(objectives)("README.md has a row for $name", ({ name }) => {
  expect(page("README.md")).toMatch(new RegExp(`^\\| \`${name}\` +\\|`, "m"));
});

test.each(objectives)("docs/options.md names $name and its options", ({ name, schema }) => {
  const options = Object.keys(schema.shape).filter((key) => key !== "name");
  const text = page("docs/options.md");
  const start = text.indexOf(`\`${name}\` (`);
  expect(start, name).toBeGreaterThan(0);
  const end = Math.min(
    ...objectives.map((other) => text.indexOf(`\`${other.name}\` (`, start + 1)).filter((place) => place > start),
    text.length,
  );
  for (const option of options) expect(text.slice(start, end)).toContain(`\`${option}`);
});
