import { type ConvertedRecords, convertRecords } from "../files/convert.ts";
import { remarkPairs } from "../remarks.ts";
import { promptKey, splitByPrompt } from "../split.ts";
import type { Tally } from "../tally.ts";
import { tokenizedAsAnswers } from "./answers.ts";
import type { Form, ReadSettings } from "./form.ts";
import { type PairColumnNames, PairReader, type PreferencePair, sideColumns } from "./pair-reader.ts";

export type { PreferencePair } from "./pair-reader.ts";

/** Two answers to one prompt, of which one was preferred. */
export const pairs = {
  name: "pairs",
  summary: "preference pairs",
  item: "pair",
  items: "pairs",
  columns: {
    prompt: "prompt",
    chosen: "chosen answer",
    rejected: "rejected answer",
    messages: "messages before the answers",
    system: "system's message",
    tools: "tools that the assistant may call",
  },
  signs: ["chosen", "rejected"],
  responses: [2, 1],
  hasPrompts: true,
  packs: false,

  async read(files, settings) {
    const found = await readPairs(files, settings);
    const { pairs: items, conversations, repeats, contradictions, repeatedPrompts, multiTurnAnswers } = found;
    return {
      ...{ ...found, items },
      conversations: conversations.count,
      tallies: { repeats, contradictions, repeatedPrompts, multiTurnAnswers },
      remark: (remarks) => remarkPairs(found, settings, remarks),
    };
  },

  split: splitByPrompt,
  promptKey,
  ...tokenizedAsAnswers(({ prompt, chosen, rejected, chat, margin, place }, responses) => {
    const given = margin === undefined || responses === 1 ? undefined : { margin: [Float64Array.of(margin)] };
    return { prompt, answers: responses === 2 ? [chosen, rejected] : [chosen], chat, ...(given && { given }), place };
  }),
} as const satisfies Form<PreferencePair, keyof PairColumnNames>;

/** How pairs are read; what is not said is as in a recipe. */
export type PairOptions = ReadSettings<keyof PairColumnNames>;

/** Pairs, and what is worth knowing about them. */
export interface PreferenceData extends Omit<ConvertedRecords<PreferencePair>, "items"> {
  readonly pairs: PreferencePair[];
  /** Pairs of messages, rendered by the chat template. */
  readonly conversations: Tally;
  /**
   * Pairs of dialogues that part ways before the last turn, so that an answer holds further turns.
   * They are kept.
   */
  readonly multiTurnAnswers: Tally;
  /**
   * Pairs whose answers both began with the prompt; with `repeatedPrompt: strip` it was taken off.
   */
  readonly repeatedPrompts: Tally;
  /** Pairs that equal an earlier one. */
  readonly repeats: Tally;
  /** Pairs with the prompt and the answers of an earlier one, but the answers swapped. */
  readonly contradictions: Tally;
}

/**
 * Reads preference pairs from one or more files (see `readRecords` for the kinds of file, and
 * `PairReader` for what a pair is).
 *
 * @throws UserError for an unreadable file, for conversations without a chat template, for single
 * answers with votes (not supported), for a bad pair if `onBadPair` is "error": an answer that is
 * missing, blank or no text, two equal answers, or dialogues without a common prompt; and if no
 * pair is left.
 */
export async function readPairs(files: string | readonly string[], options: PairOptions = {}): Promise<PreferenceData> {
  const { onBadPair: onBad = "error", limit } = options;
  const names = namesOf(options.columns);
  const reader = new PairReader(options, names);
  const columns = [...Object.values(names), ...sideColumns];
  const { items, ...rest } = await convertRecords(files, { columns, onBad, limit }, (fields, place) =>
    reader.pair(fields, place),
  );
  const { conversations, multiTurnAnswers, repeatedPrompts, besideTexts, repeated } = reader;
  const { repeats, contradictions } = repeated;
  const unused = new Map([...rest.unused, ...besideTexts]);
  return { pairs: items, ...rest, unused, conversations, multiTurnAnswers, repeatedPrompts, repeats, contradictions };
}

/** The names of columns where others are given for some. */
function namesOf(given: PairOptions["columns"] = {}): PairColumnNames {
  const names = Object.keys(pairs.columns).map((column) => [column, given[column as keyof PairColumnNames] ?? column]);
  return Object.fromEntries(names) as unknown as PairColumnNames;
}
