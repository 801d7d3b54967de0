import { oneLine, shortened } from "./one-line.ts";

/** The place of a problem in the user's input. Lines and columns count from 1. */
export interface Place {
  file?: string;
  line?: number;
  column?: number;
  /** The key or column concerned, e.g. `objective.beta`. */
  field?: string;
}

/** Characters that each part of a message keeps. What it quotes may be of any length. */
const longest = 1500;

/**
 * A problem in what the user gave us: a file, a recipe, a value. The command line prints it and
 * exits with 2; any other error is a fault of tokenwise and keeps its stack. The message is one
 * line: control characters in what it quotes are escaped, and long parts are shortened.
 */
export class UserError extends Error {
  override readonly name = "UserError";
  readonly place: Place;
  /** Advice on what to do about it. */
  readonly hint: string | undefined;

  constructor(problem: string, options: Place & { hint?: string; cause?: unknown } = {}) {
    const { hint, cause, ...place } = options;
    const message = `${describePlace(place)}${bounded(problem)}${hint ? `; ${bounded(hint)}` : ""}`;
    super(message, cause === undefined ? undefined : { cause });
    this.place = place;
    this.hint = hint;
  }
}

/** `file:line:column: field: `, as far as it is known. */
function describePlace({ file, line, column, field }: Place): string {
  const position = [file, line, column].filter((part) => part !== undefined).join(":");
  return [position, field]
    .filter((part) => part !== undefined && part !== "")
    .map((part) => `${bounded(part!)}: `)
    .join("");
}

function bounded(text: string): string {
  return oneLine(shortened(text, longest));
}
