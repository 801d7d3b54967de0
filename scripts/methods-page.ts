/** The page on the objectives and their table in README.md, from their definitions. */
import type { ObjectiveDefinition } from "../src/objectives/define.ts";
import { arXivLink, costOf, needsOf, proposedSettings, signs } from "../src/objectives/describe.ts";
import { objectives } from "../src/objectives/index.ts";
import { folded, widest } from "./recipe-schema.ts";

const definitions = objectives as readonly unknown[] as readonly ObjectiveDefinition[];

/** docs/methods.md. */
export function methodsPage(): string {
  return [
    "# Objectives",
    "",
    ...folded(
      "This page says of each objective what its loss is, where it comes from, what it needs and what it was " +
        "compared with. It follows from the definitions in `src/objectives`, as `tokenwise methods` does. The " +
        "settings with their ranges are in [recipes.md](recipes.md#objective), the names of TRL in " +
        "[coming-from-trl.md](coming-from-trl.md).",
      widest,
    ),
    "",
    ...signs.flatMap((line) => folded(`- ${line}`, widest, "  ")),
    "",
    ...folded(
      "Every objective over pairs takes importance weights of tokens (`weights` in a recipe). Its sums over an " +
        "answer are then weighted.",
      widest,
    ),
    ...definitions.flatMap(section),
    "",
  ].join("\n");
}

function section(definition: ObjectiveDefinition): string[] {
  const { name, summary, paper, formula, checked } = definition;
  const facts = [
    `Loss: \`${formula}\``,
    ...(paper ? [`Paper: [${paper.by}](${arXivLink(paper.arXiv)})`] : []),
    `Recipe: \`${proposedSettings(definition)}\``,
    `Needs ${needsOf(definition).join("; ")}`,
    `Cost of a step: ${costOf(definition)}`,
    `Checked: ${checked}`,
  ];
  return [
    ...["", `## ${name}`, ""],
    ...folded(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`, widest),
    "",
    ...facts.flatMap((fact) => folded(`- ${fact}`, widest, "  ")),
  ];
}

/** The table of README.md. */
export function methodsTable(): string {
  const rows = definitions.map(({ name, paper, formula }) => [
    `\`${name}\``,
    paper ? `[${paper.by}](${arXivLink(paper.arXiv)})` : "",
    formula!.replaceAll("|", "\\|"),
  ]);
  const header = ["objective", "paper", "loss of a pair"];
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
