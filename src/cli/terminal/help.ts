import { type Command, Help } from "commander";
import { withoutControls } from "../../show/visible-text.ts";

/** Characters that a description keeps beside its option; with fewer it goes below. */
const leastRoom = 32;

const advice = "; put arguments before options that take several values";

/** Makes a command's help readable at any width of the terminal. */
export function fitHelp(command: Command): void {
  const width = () => process.stdout.columns || 80;
  command
    .configureHelp({
      minWidthToWrap: 16,
      formatItem(term, termWidth, description, helper) {
        const room = (helper.helpWidth ?? 80) - termWidth - 4;
        if (room >= leastRoom || !description) {
          return Help.prototype.formatItem.call(helper, term, termWidth, description, helper);
        }
        return `  ${term}\n${indented(helper.boxWrap(description, (helper.helpWidth ?? 80) - 6), 6)}`;
      },
    })
    .configureOutput({
      getOutHelpWidth: width,
      getErrHelpWidth: () => process.stderr.columns || 80,
      writeOut: (text) => process.stdout.write(folded(text, width())),
      outputError: (text, write) => write(withoutControls(text.replace(/(?<=missing required argument '.*')/, advice))),
    });
}

/**
 * Breaks lines between words. Lines of a paragraph are joined first; what goes on of an indented
 * line is indented two further.
 */
export function folded(text: string, width: number): string {
  return text
    .replaceAll(/(?<=^\S.*[^:\n])\n(?=\S)/gm, " ")
    .split("\n")
    .map((line) => foldedLine(line, width))
    .join("\n");
}

function foldedLine(line: string, width: number): string {
  if (line.length <= width) return line;
  const indent = " ".repeat(line.search(/\S|$/));
  const further = indent && `${indent}  `;
  const lines = [indent];
  for (const word of line.trim().split(/ +/)) {
    const last = lines.at(-1)!;
    if (last.trim() === "") lines[lines.length - 1] = last + word;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(further + word);
  }
  return lines.join("\n");
}

function indented(text: string, by: number): string {
  return text.replaceAll(/^/gm, " ".repeat(by));
}
