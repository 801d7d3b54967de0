import { Command } from "commander";
import type { ObjectiveDefinition } from "../../objectives/define.ts";
import { arXivLink, costOf, needsOf, optionsOf, proposedSettings, signs } from "../../objectives/describe.ts";
import { findObjective, objectives } from "../../objectives/index.ts";
import { colorsFor } from "../terminal/colors.ts";
import { folded } from "../terminal/help.ts";
import { endWithReader } from "../terminal/lost-output.ts";

/** `tokenwise methods`. */
export function methodsCommand(): Command {
  return new Command("methods")
    .description("list the objectives, or say all about one: its loss, paper, options, and what it needs")
    .argument("[name]", "an objective, or what TRL calls it")
    .addHelpText("after", "\nExample:\n  tokenwise methods simpo")
    .action((name: string | undefined) => {
      endWithReader();
      const width = process.stdout.columns || 100;
      console.log(name === undefined ? list(width) : folded(described(findObjective(name, "name")), width));
    });
}

/** A name and what it is, one objective after the other, in two columns where there is room. */
function list(width: number): string {
  const { bold } = colorsFor(process.stdout);
  const indent = Math.max(...objectives.map(({ name }) => name.length)) + 4;
  const room = width - indent;
  const entries = objectives.map(({ name, summary }) => {
    if (room < 32) return `${bold(name)}\n${folded(`  ${summary}`, width)}`;
    const lines = folded(summary, room).replaceAll(/\n\s*/g, `\n${" ".repeat(indent)}`);
    return `  ${bold(name)}${" ".repeat(indent - 2 - name.length)}${lines}`;
  });
  return [...entries, "", "More about one: tokenwise methods NAME"].join("\n");
}

/** Everything about an objective. */
function described(definition: ObjectiveDefinition): string {
  const { name, summary, paper, formula, checked } = definition;
  const options = optionsOf(definition).map(
    ({ name, values, fallback, description }) =>
      `  ${name} (${values ? `${values.join(" or ")}, ` : ""}default ${fallback}): ${description}`,
  );
  return [
    `${colorsFor(process.stdout).bold(name)}: ${summary}`,
    "",
    `  loss: ${formula}`,
    ...(paper ? [`  paper: ${paper.by}, ${arXivLink(paper.arXiv)}`] : []),
    `  needs: ${needsOf(definition).join("; ")}`,
    `  cost of a step: ${costOf(definition)}`,
    `  checked: ${checked}`,
    `  recipe: ${proposedSettings(definition)}`,
    ...(options.length > 0 ? ["", "Options:", ...options] : []),
    "",
    "Signs:",
    ...signs.map((line) => `  ${line}`),
  ].join("\n");
}
