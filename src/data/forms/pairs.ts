import { quoted } from "../../one-line.ts";
import {
  BadRecord,
  type ConvertedRecords,
  columnValue,
  convertRecords,
  filledTextField,
  type OnBadRecord,
  textField,
} from "../files/convert.ts";
import type { Fields, RecordPlace } from "../files/read.ts";
import { remarkPairs } from "../remarks.ts";
import { promptKey, splitByPrompt } from "../split.ts";
import { Tally } from "../tally.ts";
import { tokenizedAsAnswers } from "./answers.ts";
import { assistantTurn, hasFurtherTurns, sharedPromptLength } from "./dialogues.ts";
import type { Form } from "./form.ts";
import { refuseOtherForms } from "./other-forms.ts";
import { RepeatedPairs } from "./repeated-pairs.ts";
import { withoutRepeatedPrompt } from "./repeated-prompt.ts";

/** Two answers to one prompt, of which one was preferred. */
export const pairs = {
  name: "pairs",
  summary: "preference pairs",
  item: "pair",
  items: "pairs",
  columns: { prompt: "prompt", chosen: "chosen answer", rejected: "rejected answer" },
  signs: ["chosen", "rejected"],
  responses: [2, 1],
  hasPrompts: true,
  packs: false,

  async read(files, settings) {
    const found = await readPairs(files, settings);
    const { pairs: items, repeats, contradictions, repeatedPrompts, multiTurnAnswers } = found;
    return {
      ...{ ...found, items },
      tallies: { repeats, contradictions, repeatedPrompts, multiTurnAnswers },
      remark: (remarks) => remarkPairs(found, settings, remarks),
    };
  },

  split: splitByPrompt,
  promptKey,
  ...tokenizedAsAnswers(({ prompt, chosen, rejected, place }, responses) => {
    return { prompt, answers: responses === 2 ? [chosen, rejected] : [chosen], place };
  }),
} as const satisfies Form<PreferencePair, "prompt" | "chosen" | "rejected">;

/**
 * A prompt and two answers to it. The answers are continuations: a space between prompt and answer
 * belongs to the answer.
 */
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
  /**
   * What to do where both answers begin with the prompt: leave it there, or take it off both.
   * Default: "keep".
   */
  readonly repeatedPrompt?: "keep" | "strip" | undefined;
  /** Stop after so many pairs. */
  readonly limit?: number | undefined;
}

/** Pairs, and what is worth knowing about them. */
export interface PreferenceData extends Omit<ConvertedRecords<PreferencePair>, "items"> {
  readonly pairs: PreferencePair[];
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
 * Reads preference pairs from one or more files (see `readRecords` for the kinds of file).
 *
 * A record with a prompt is taken as it is; the prompt may be empty. A record without one must hold
 * two whole dialogues in the form of Anthropic's HH data: their longest common beginning that ends
 * with "\n\nAssistant:" is the prompt, what follows are the answers.
 *
 * @throws UserError for an unreadable file, for chat messages and single answers with votes (not
 * supported), for a bad pair if `onBadPair` is "error": an answer that is missing, blank or no
 * text, two equal answers, or dialogues without a common prompt; and if no pair is left.
 */
export async function readPairs(files: string | readonly string[], options: PairOptions = {}): Promise<PreferenceData> {
  const { prompt = "prompt", chosen = "chosen", rejected = "rejected" } = options.columns ?? {};
  const { onBadPair: onBad = "error", repeatedPrompt = "keep", limit } = options;
  const columns = [prompt, chosen, rejected];
  const repeatedPrompts = new Tally();
  const repeated = new RepeatedPairs();
  const multiTurnAnswers = new Tally();

  const convert = (fields: Fields, place: RecordPlace): PreferencePair => {
    refuseOtherForms(fields, columns, place);
    const whole = { chosen: filledTextField(fields, chosen), rejected: filledTextField(fields, rejected) };
    if (whole.chosen === whole.rejected) throw new BadRecord(`the same text as in \`${chosen}\``, rejected);
    if (columnValue(fields, prompt) === undefined) return fromDialogues(whole, place);
    const pair = { prompt: textField(fields, prompt), ...whole };
    const without = withoutRepeatedPrompt(pair);
    if (!without) return { ...pair, place };
    const used = repeatedPrompt === "strip" ? { ...without, ...checked(without, "without the prompt") } : pair;
    repeatedPrompts.add(place);
    return { ...used, place };
  };

  const fromDialogues = (whole: { chosen: string; rejected: string }, place: RecordPlace): PreferencePair => {
    const start = sharedPromptLength(whole.chosen, whole.rejected);
    if (start === 0) {
      const problem = `is missing, and \`${chosen}\` and \`${rejected}\` have no common beginning`;
      throw new BadRecord(`${problem} that ends with ${quoted(assistantTurn)}`, prompt);
    }
    const answers = checked({ chosen: whole.chosen.slice(start), rejected: whole.rejected.slice(start) });
    if (hasFurtherTurns(answers.chosen) || hasFurtherTurns(answers.rejected)) multiTurnAnswers.add(place);
    return { prompt: whole.chosen.slice(0, start), ...answers, place };
  };

  /** The answers of a pair after something was taken off their beginnings. */
  const checked = (answers: { chosen: string; rejected: string }, when?: string) => {
    for (const [side, column] of [
      ["chosen", chosen],
      ["rejected", rejected],
    ] as const)
      if (answers[side].trim() === "") throw new BadRecord(`is blank${when ? ` ${when}` : ""}`, column);
    return answers;
  };

  const { items, ...rest } = await convertRecords(files, { columns, onBad, limit }, (fields, place) => {
    const pair = convert(fields, place);
    repeated.add(pair);
    return pair;
  });
  const { repeats, contradictions } = repeated;
  return { pairs: items, ...rest, multiTurnAnswers, repeatedPrompts, repeats, contradictions };
}
