import { isDeepStrictEqual } from "node:util";
import { quoted } from "../../one-line.ts";
import { BadRecord } from "../files/convert.ts";
import type { Message } from "../tokens/chat-template.ts";
import { isBlank, isConversation, messagesIn, wordsOf } from "./messages.ts";

/** A prompt and two answers to it, in turns. */
export interface Turns {
  readonly prompt: readonly Message[];
  readonly chosen: readonly Message[];
  readonly rejected: readonly Message[];
}

/** The columns of a pair, by their names in the data. */
export interface PairColumns {
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
}

/**
 * The turns of a pair. A text as prompt is the user's turn, a text as answer the assistant's.
 * Answers that begin with another role than the assistant's are whole conversations: their longest
 * common beginning, in whole turns, is the prompt.
 *
 * @param given the values of the columns; the prompt may be missing
 * @throws BadRecord where there is no common prompt, and where an answer is empty or holds turns of
 * others than the assistant, which a model must not learn to write.
 */
export function turnsOf(given: Readonly<Record<keyof PairColumns, unknown>>, columns: PairColumns): Turns {
  const chosen = answerIn(given.chosen, columns.chosen);
  const rejected = answerIn(given.rejected, columns.rejected);
  const whole = [chosen, rejected].some(([first]) => !isAssistant(first!));
  const turns = whole
    ? parted(chosen, rejected, given.prompt, columns)
    : { prompt: promptIn(given.prompt, columns.prompt), chosen, rejected };
  for (const side of ["chosen", "rejected"] as const) checkAnswer(turns[side], columns[side]);
  checkPrompt(turns.prompt, columns.prompt);
  return turns;
}

/**
 * The messages of a prompt: those in a list, or a text as the user's turn.
 *
 * @throws BadRecord for anything else
 */
export function promptIn(value: unknown, column: string): Message[] {
  if (typeof value === "string") return [{ role: "user", content: value }];
  if (value === undefined) throw new BadRecord("is missing", column);
  return messagesIn(value, column);
}

/** @throws BadRecord for a prompt that the assistant's turn cannot follow */
export function checkPrompt(prompt: readonly Message[], column: string): void {
  if (prompt.length === 0) throw new BadRecord("holds no message", column);
  if (isAssistant(prompt.at(-1)!))
    throw new BadRecord("ends with a turn of the assistant, so that the answer would have to go on with it", column);
}

function answerIn(value: unknown, column: string): Message[] {
  if (typeof value === "string") return [{ role: "assistant", content: value }];
  return messagesIn(value, column);
}

function parted(chosen: Message[], rejected: Message[], prompt: unknown, columns: PairColumns): Turns {
  let common = 0;
  while (common < chosen.length && isDeepStrictEqual(chosen[common], rejected[common])) common++;
  if (common === chosen.length && common === rejected.length)
    throw new BadRecord(`the same conversation as in \`${columns.chosen}\``, columns.rejected);
  // Where one answer says more than the other, its last turns are no part of the prompt.
  const [first, second] = [chosen.slice(common), rejected.slice(common)];
  for (const [rest, column] of [
    [first, columns.chosen],
    [second, columns.rejected],
  ] as const)
    if (rest.length === 0)
      throw new BadRecord("ends where the other conversation goes on, so it has no answer", column);
  const beginning = chosen.slice(0, common);
  if (common === 0 && prompt === undefined)
    throw new BadRecord(
      `is missing, and \`${columns.chosen}\` and \`${columns.rejected}\` begin differently`,
      columns.prompt,
    );
  if (prompt !== undefined) checkSaid(prompt, beginning, columns);
  return { prompt: beginning, chosen: first, rejected: second };
}

/** Whole conversations must hold the prompt that stands beside them. */
function checkSaid(prompt: unknown, beginning: readonly Message[], { prompt: column, chosen }: PairColumns): void {
  const said = (words: string) => beginning.some((message) => wordsOf(message).trim() === words.trim());
  const asked = isConversation(prompt) ? messagesIn(prompt, column).map(wordsOf) : [prompt];
  const missing = asked.find((words) => typeof words !== "string" || !said(words));
  if (missing === undefined) return;
  throw new BadRecord(`is no turn of the beginning that \`${chosen}\` and the other conversation share`, column);
}

function checkAnswer(answer: readonly Message[], column: string): void {
  const other = answer.find((message) => !isAssistant(message));
  if (other) {
    const problem = `differs before its last turn: the answer holds a turn of ${quoted(other.role)}`;
    throw new BadRecord(`${problem}, which the model must not learn to write`, column);
  }
  if (answer.every(isBlank)) throw new BadRecord("is blank", column);
}

function isAssistant({ role }: Message): boolean {
  return role === "assistant" || role === "model";
}
