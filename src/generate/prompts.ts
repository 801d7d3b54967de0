import { chatOf } from "../data/chat/chat.ts";
import { isConversation, toolsIn, wordsOf } from "../data/chat/messages.ts";
import { checkPrompt, promptIn } from "../data/chat/turns.ts";
import { openText, readHead } from "../data/files/bytes.ts";
import { BadRecord, columnValue, textField } from "../data/files/convert.ts";
import { isParquet } from "../data/files/kind.ts";
import { splitLines } from "../data/files/lines.ts";
import { type Fields, type RecordPlace, readRecords } from "../data/files/read.ts";
import * as boundaries from "../data/tokens/boundaries.ts";
import type { Conversation } from "../data/tokens/chat-template.ts";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import { UserError } from "../errors.ts";

/** A prompt, and where it stands if it came from a file. */
export interface Prompt {
  /** Of a conversation the words of its last turn. */
  readonly text: string;
  /** Turns that the model's chat template writes, instead of the text. */
  readonly conversation?: Conversation;
  readonly place?: RecordPlace;
}

/**
 * Reads prompts from a file: the column `prompt` of `.jsonl`, `.ndjson`, `.json` or Parquet, a text
 * or messages, or else the messages in `messages`; of any other file each line that is not blank.
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
  const encoded = await encoder(tokenizer)(prompts);
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

/** Encodes texts as they are, and conversations as the model's chat template writes them. */
function encoder(tokenizer: Tokenizer) {
  const chat = chatOf(tokenizer, {});
  const written = ({ conversation, place }: Prompt) =>
    atPlace(place, () => chat().render(conversation!, [], { prompt: "prompt", answers: [] }).prompt);
  return async (prompts: readonly Prompt[]): Promise<number[][]> => {
    const texts = prompts.filter(({ conversation }) => !conversation).map(({ text }) => text);
    const chats = prompts.filter(({ conversation }) => conversation).map(written);
    const plain = (await boundaries.encodePrompts(tokenizer, texts)).values();
    const rendered = (await boundaries.encodeRenderedPrompts(tokenizer, chats)).values();
    return prompts.map(({ conversation }) => (conversation ? rendered : plain).next().value!);
  };
}

async function promptsOfRecords(file: string): Promise<Prompt[]> {
  const prompts: Prompt[] = [];
  for await (const record of readRecords(file, { columns: ["prompt", "messages", "tools"] })) {
    const { place } = record;
    const prompt = atPlace(place, () => {
      if ("problem" in record) throw new BadRecord(record.problem);
      return promptOf(record.fields);
    });
    prompts.push({ ...prompt, place });
  }
  return prompts;
}

function promptOf(fields: Fields): Prompt {
  const column = columnValue(fields, "prompt") === undefined && "messages" in fields ? "messages" : "prompt";
  const value = columnValue(fields, column);
  if (!isConversation(value)) return { text: textField(fields, column) };
  const messages = promptIn(value, column);
  checkPrompt(messages, column);
  return {
    text: wordsOf(messages.at(-1)!),
    conversation: { messages, tools: toolsIn(columnValue(fields, "tools"), "tools") },
  };
}

/** Does work with a record; what is wrong with it becomes the user's error, with its place. */
function atPlace<Result>(place: RecordPlace | undefined, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof BadRecord)) throw error;
    throw new UserError(error.message, { ...place, ...(error.field !== undefined && { field: error.field }) });
  }
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
