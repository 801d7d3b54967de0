import { openText, readHead } from "../data/files/bytes.ts";
import { BadRecord, textField } from "../data/files/convert.ts";
import { isParquet } from "../data/files/kind.ts";
import { splitLines } from "../data/files/lines.ts";
import { type RecordPlace, readRecords } from "../data/files/read.ts";
import * as boundaries from "../data/tokens/boundaries.ts";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import { UserError } from "../errors.ts";

/** A prompt, and where it stands if it came from a file. */
export interface Prompt {
  readonly text: string;
  readonly place?: RecordPlace;
}

/**
 * Reads prompts from a file: the column `prompt` of `.jsonl`, `.ndjson`, `.json` or Parquet; of any
 * other file each line that is not blank.
 *
 * @throws UserError for a file that cannot be read or holds no prompts, and for a record without
 * one.
 */
export async function readPrompts(file: string): Promise<Prompt[]> {
  const hasRecords = /\.(jsonl|ndjson|json|parquet)(\.gz)?$/i.test(file) || isParquet(await readHead(file));
  return hasRecords ? promptsOfRecords(file) : promptsOfLines(file);
}

/**
 * The token ids of prompts.
 *
 * @throws UserError for a prompt that leaves no room for an answer in the context, or that the
 * model's vocabulary does not cover.
 */
export async function encodePrompts(
  tokenizer: Tokenizer,
  { contextLength, vocabularySize }: { contextLength: number; vocabularySize: number },
  prompts: readonly Prompt[],
): Promise<Int32Array[]> {
  const encoded = await boundaries.encodePrompts(
    tokenizer,
    prompts.map(({ text }) => text),
  );
  return prompts.map(({ place }, index) => {
    const ids = Int32Array.from(encoded[index]!);
    const where = place ? { ...place, field: "prompt" } : { field: `prompt ${index + 1}` };
    if (ids.length >= contextLength) {
      const problem = `has ${ids.length} tokens, and the model's context of ${contextLength} leaves no room for an answer`;
      throw new UserError(problem, { ...where, hint: "shorten it" });
    }
    const foreign = ids.find((id) => id >= vocabularySize);
    if (foreign !== undefined) {
      const problem = `its token ${foreign} is not in the model's vocabulary of ${vocabularySize}`;
      throw new UserError(problem, { ...where, hint: "tokenizer.json and the weights are not of the same model" });
    }
    return ids;
  });
}

async function promptsOfRecords(file: string): Promise<Prompt[]> {
  const prompts: Prompt[] = [];
  for await (const record of readRecords(file, { columns: ["prompt"] })) {
    const { place } = record;
    try {
      if ("problem" in record) throw new BadRecord(record.problem);
      prompts.push({ text: textField(record.fields, "prompt"), place });
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
      throw new UserError(error.message, { ...place, ...(error.field !== undefined && { field: error.field }) });
    }
  }
  return prompts;
}

async function promptsOfLines(file: string): Promise<Prompt[]> {
  const prompts: Prompt[] = [];
  const { chunks } = await openText(file);
  for await (const { line, bytes } of splitLines(chunks, file)) {
    const place = { file, line };
    try {
      const text = decoder.decode(bytes).replace(/\r$/, "");
      if (text.trim() !== "") prompts.push({ text, place });
    } catch (cause) {
      throw new UserError("is not valid UTF-8", { ...place, hint: "store the prompts as UTF-8", cause });
    }
  }
  if (prompts.length === 0) throw new UserError("holds no prompt", { file });
  return prompts;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
