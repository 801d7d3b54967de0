/**
 * JSON files of models and runs. They come from anywhere, so what is odd about them is refused
 * here, once for all.
 */
import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";
import { readTextFile } from "./file-system.ts";

export interface JsonOptions {
  /**
   * Makes a key that occurs twice in an object an error. `JSON.parse` keeps the last one and says
   * nothing. Vocabularies of tokenizers are the exception: every reader of those keeps the last
   * one.
   */
  readonly uniqueKeys?: boolean;
  /** The most keys that the outermost object may have. */
  readonly mostKeys?: number;
}

/**
 * The deepest nesting of lists and objects. Files of models need fewer than ten levels; our walks
 * over them are recursive.
 */
const deepestNesting = 100;

/**
 * The longest file in bytes, as for the header of a safetensors file. The largest tokenizers take
 * 35 MB.
 */
const longestFile = 100_000_000;

/**
 * The most values, which bounds the memory that they take. The largest tokenizers have 1.5 million.
 */
const mostValues = 5_000_000;

/**
 * Reads a JSON file.
 *
 * @throws UserError if it cannot be read, is too long, or as `parseJson`.
 */
export async function readJson(file: string, options?: JsonOptions): Promise<unknown> {
  const text = await readTextFile(file, longestFile);
  if (text.startsWith("version https://git-lfs")) {
    throw new UserError("is a Git LFS pointer, not the file", { file, hint: "run `git lfs pull`" });
  }
  if (/^\s*<(!doctype|html)/i.test(text)) {
    throw new UserError("is a web page, not the file", { file, hint: "download the file itself" });
  }
  return parseJson(text, file, options);
}

/**
 * Parses the text of a JSON file. A byte order mark is skipped.
 *
 * @throws UserError naming the line and column where the text stops being JSON, is nested too deep,
 * repeats a key or holds too much.
 */
export function parseJson(text: string, file: string, options: JsonOptions = {}): unknown {
  const json = text.replace(/^\uFEFF/, "");
  const oddity = findOddity(json, options);
  if (oddity) throw new UserError(oddity.problem, { file, ...placeOf(json, oddity.position) });
  try {
    return JSON.parse(json);
  } catch (error) {
    const message = messageOf(error);
    const position = Number(/position (\d+)/.exec(message)?.[1] ?? positionOfToken(json));
    // Node appends the position, which we give as line and column, or quotes the text around it.
    const problem = message.replace(/, (\.\.\.)?".*" is not valid JSON$|( in JSON)? at position.*$/s, "");
    throw new UserError(`not valid JSON: ${problem}`, { file, ...placeOf(json, position), cause: error });
  }
}

/**
 * The first place where a text, which need not be valid JSON, is nested too deep, repeats a key or
 * holds too much.
 */
function findOddity(
  json: string,
  { uniqueKeys = true, mostKeys = mostValues }: JsonOptions,
): { problem: string; position: number } | undefined {
  /** The keys of each open object so far; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  let keyFollows = false;
  let [values, outerKeys] = [0, 1];
  for (let position = 0; position < json.length; position++) {
    switch (json.charCodeAt(position)) {
      case 0x7b: // {
      case 0x5b: // [
        keyFollows = json[position] === "{";
        open.push(keyFollows ? new Set() : undefined);
        if (open.length <= deepestNesting) break;
        return { problem: `lists and objects are nested more than ${deepestNesting} deep`, position };
      case 0x7d: // }
      case 0x5d: // ]
        keyFollows = false;
        open.pop();
        break;
      case 0x2c: // ,
        keyFollows = open.at(-1) !== undefined;
        if (++values >= mostValues) return { problem: `holds more than ${mostValues} values`, position };
        if (open.length === 1 && ++outerKeys > mostKeys)
          return { problem: `holds more than ${mostKeys} keys`, position };
        break;
      case 0x22: {
        const end = endOfString(json, position);
        if (keyFollows && uniqueKeys) {
          const keys = open.at(-1)!;
          const key = stringIn(json.slice(position, end + 1));
          if (keys.has(key)) return { problem: `the key ${quoted(key)} occurs twice`, position };
          keys.add(key);
        }
        keyFollows = false;
        position = end;
      }
    }
  }
  return undefined;
}

/**
 * The position of the quote that ends the string that begins at `start`; the text's end if none
 * does.
 */
function endOfString(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let first = end;
    while (json[first - 1] === "\\") first--;
    if ((end - first) % 2 === 0) return end;
  }
  return json.length;
}

/** The text of a string in JSON; its source where that is not valid, as parsing will tell. */
function stringIn(source: string): string {
  if (!source.includes("\\")) return source.slice(1, -1);
  try {
    return JSON.parse(source);
  } catch {
    return source;
  }
}

function placeOf(json: string, position: number): { line: number; column: number } {
  const lines = json.slice(0, position).split("\n");
  return { line: lines.length, column: lines.at(-1)!.length + 1 };
}

/**
 * The position of an unexpected token, or the end: how much of the text parses without meeting it,
 * by bisection.
 */
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
