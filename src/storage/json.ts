import { readFile } from "node:fs/promises";
import { UserError } from "../errors.ts";
import { asUserError } from "../files.ts";

/**
 * Reads a JSON file.
 *
 * @throws UserError if it cannot be read, or naming the line and column where it stops being JSON.
 */
export async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, "utf8").catch((error) => {
    throw asUserError(error, file, "cannot read");
  });
  return parseJson(text, file);
}

/**
 * Parses the text of a JSON file. A byte order mark is skipped.
 *
 * @throws UserError naming the line and column where the text stops being JSON.
 */
export function parseJson(text: string, file: string): unknown {
  const json = text.replace(/^\uFEFF/, "");
  try {
    return JSON.parse(json);
  } catch (error) {
    const message = messageOf(error);
    const position = /position (\d+)/.exec(message)?.[1] ?? positionOfToken(json);
    const lines = json.slice(0, Number(position)).split("\n");
    // Node appends the position, which we give as line and column, or quotes the text around it.
    const problem = message.replace(/, (\.\.\.)?".*" is not valid JSON$|( in JSON)? at position.*$/s, "");
    const place = { file, line: lines.length, column: lines.at(-1)!.length + 1 };
    throw new UserError(`not valid JSON: ${problem}`, { ...place, cause: error });
  }
}

/** The position of an unexpected token, or the end: how much of the text parses without meeting it, by bisection. */
function positionOfToken(json: string): number {
  let [without, beyond] = [0, json.length + 1];
  while (beyond - without > 1) {
    const middle = Math.floor((without + beyond) / 2);
    if (meetsToken(json.slice(0, middle))) beyond = middle;
    else without = middle;
  }
  return without;
}

function meetsToken(json: string): boolean {
  try {
    JSON.parse(json);
    return false;
  } catch (error) {
    return messageOf(error).startsWith("Unexpected token");
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
