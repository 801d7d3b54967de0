import { UserError } from "../../errors.ts";
import { quoted } from "../../one-line.ts";
import {
  BadRecord,
  columnValue,
  convertRecords,
  filledTextField,
  type OnBadRecord,
  type SkippedRecord,
  textField,
} from "../files/convert.ts";
import type { Fields, RecordPlace } from "../files/read.ts";

/** A prompt and two answers to it. The answers are continuations: a space between prompt and answer belongs to the answer. */
export interface PreferencePair {
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
  readonly place: RecordPlace;
}

export interface PairOptions {
  /** The names of the columns; each is `prompt`, `chosen`, `rejected` unless said otherwise. */
  readonly columns?: {
    readonly prompt?: string | undefined;
    readonly chosen?: string | undefined;
    readonly rejected?: string | undefined;
  };
  /** What to do with a record that makes no usable pair. Default: "error". */
  readonly onBadPair?: OnBadRecord | undefined;
}

export interface PreferenceData {
  readonly pairs: PreferencePair[];
  /** The records left out, with the reason; empty unless `onBadPair` is "skip". */
  readonly skipped: SkippedRecord[];
  /** Pairs of dialogues that part ways before the last turn, so that an answer holds further turns. They are kept. */
  readonly multiTurnAnswers: number;
}

const assistantTurn = "\n\nAssistant:";
const anyTurn = /\n\n(Human|Assistant):/;

/**
 * Reads preference pairs from one or more files (see `readRecords` for the kinds of file).
 *
 * A record with a prompt is taken as it is; the prompt may be empty. A record without one must hold two whole dialogues in the form
 * of Anthropic's HH data: their longest common beginning that ends with "\n\nAssistant:" is the prompt, what follows are the answers.
 *
 * @throws UserError for an unreadable file, for chat messages (not supported yet), for a bad pair if `onBadPair` is "error": an answer that
 *   is missing, blank or no text, two equal answers, or dialogues without a common prompt; and if no pair is left.
 */
export async function readPairs(files: string | readonly string[], options: PairOptions = {}): Promise<PreferenceData> {
  const { prompt = "prompt", chosen = "chosen", rejected = "rejected" } = options.columns ?? {};
  let multiTurnAnswers = 0;

  const { items, skipped } = await convertRecords(
    files,
    [prompt, chosen, rejected],
    options.onBadPair ?? "error",
    (fields, place) => {
      for (const column of [prompt, chosen, rejected]) refuseChatMessages(fields, column, place);
      const pair = { chosen: filledTextField(fields, chosen), rejected: filledTextField(fields, rejected) };
      if (pair.chosen === pair.rejected) throw new BadRecord(`the same text as in \`${chosen}\``, rejected);
      if (columnValue(fields, prompt) !== undefined) {
        return { prompt: textField(fields, prompt), ...pair, place };
      }
      const start = splitDialogues(pair.chosen, pair.rejected);
      if (start === 0) {
        throw new BadRecord(
          `is missing, and \`${chosen}\` and \`${rejected}\` have no common beginning that ends with ${quoted(assistantTurn)}`,
          prompt,
        );
      }
      const answers = { [chosen]: pair.chosen.slice(start), [rejected]: pair.rejected.slice(start) };
      const split = { chosen: filledTextField(answers, chosen), rejected: filledTextField(answers, rejected) };
      if (anyTurn.test(split.chosen) || anyTurn.test(split.rejected)) multiTurnAnswers++;
      return { prompt: pair.chosen.slice(0, start), ...split, place };
    },
  );
  return { pairs: items, skipped, multiTurnAnswers };
}

/** The length of the prompt that two dialogues share; 0 if they share none. */
function splitDialogues(chosen: string, rejected: string): number {
  let common = 0;
  while (common < chosen.length && chosen[common] === rejected[common]) common++;
  const turn = chosen.slice(0, common).lastIndexOf(assistantTurn);
  return turn < 0 ? 0 : turn + assistantTurn.length;
}

function refuseChatMessages(fields: Fields, column: string, place: RecordPlace): void {
  const value = columnValue(fields, column);
  const isMessage = (item: unknown) => typeof item === "object" && item !== null && "role" in item && "content" in item;
  if (Array.isArray(value) && value.some(isMessage)) {
    throw new UserError("chat messages ({role, content}) are not supported yet", {
      ...place,
      field: column,
      hint: "write the prompt and the answers as plain texts",
    });
  }
}
