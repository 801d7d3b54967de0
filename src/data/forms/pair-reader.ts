import { quoted } from "../../one-line.ts";
import type { RenderedChat } from "../chat/chat.ts";
import { isConversation, toolsIn } from "../chat/messages.ts";
import { promptIn, turnsOf } from "../chat/turns.ts";
import { BadRecord, columnValue, filledTextField, textField } from "../files/convert.ts";
import type { Fields, RecordPlace } from "../files/read.ts";
import { Tally } from "../tally.ts";
import type { Message } from "../tokens/chat-template.ts";
import { assistantTurn, hasFurtherTurns, sharedPromptLength } from "./dialogues.ts";
import type { ReadSettings } from "./form.ts";
import { refuseOtherForms } from "./other-forms.ts";
import { RepeatedPairs } from "./repeated-pairs.ts";
import { withoutRepeatedPrompt } from "./repeated-prompt.ts";

/**
 * A prompt and two answers to it. The answers are continuations: a space between prompt and answer
 * belongs to the answer.
 */
export interface PreferencePair {
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
  /** Of a conversation: the texts are what the model's chat template writes. */
  readonly chat?: RenderedChat | undefined;
  /** How much higher the chosen answer is scored, where scores stand beside the answers. */
  readonly margin?: number | undefined;
  readonly place: RecordPlace;
}

/** The columns that make a pair, by their names in the data. */
export interface PairColumnNames {
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
  readonly messages: string;
  readonly system: string;
  readonly tools: string;
}

/** Variables of the chat template, as TRL names the column. */
const templateVariables = "chat_template_kwargs";

/** Columns of scores of the chosen and the rejected answer, as data sets and `pairs` name them. */
const scoreColumns = [
  ["chosen_score", "rejected_score"],
  ["score_chosen", "score_rejected"],
] as const;

/** Columns that a pair may have besides, whatever the names of the others. */
export const sideColumns: readonly string[] = [templateVariables, ...scoreColumns.flat()];

/**
 * Makes pairs of records, and counts what is strange about them.
 *
 * - A record of texts with a prompt is taken as it is; the prompt may be empty.
 * - Texts without a prompt are two whole dialogues in the form of Anthropic's HH data: their
 *   longest common beginning that ends with "\n\nAssistant:" is the prompt, what follows are the
 *   answers.
 * - Messages become texts by the model's chat template; see `turnsOf` for what is their prompt.
 */
export class PairReader {
  /** Pairs of dialogues whose answers hold further turns. */
  readonly multiTurnAnswers = new Tally();
  /** Pairs whose answers both began with the prompt. */
  readonly repeatedPrompts = new Tally();
  readonly repeated = new RepeatedPairs();
  readonly conversations = new Tally();
  /** Columns that are read with conversations, and stand beside texts. */
  readonly besideTexts = new Map<string, Tally>();
  readonly #settings: Pick<ReadSettings, "repeatedPrompt" | "chat" | "textsAsTurns">;
  readonly #names: PairColumnNames;

  constructor(settings: Pick<ReadSettings, "repeatedPrompt" | "chat" | "textsAsTurns">, names: PairColumnNames) {
    this.#settings = settings;
    this.#names = names;
  }

  /**
   * The pair of a record.
   *
   * @throws BadRecord where it makes none.
   */
  pair(fields: Fields, place: RecordPlace): PreferencePair {
    const read = this.#isConversation(fields) ? this.#fromTurns(fields, place) : this.#fromTexts(fields, place);
    const margin = marginOf(fields);
    const pair = margin === undefined ? read : { ...read, margin };
    this.repeated.add(pair);
    return pair;
  }

  #isConversation(fields: Fields): boolean {
    if (this.#settings.textsAsTurns) return true;
    const { prompt, chosen, rejected, messages } = this.#names;
    return [prompt, chosen, rejected, messages].some((column) => isConversation(columnValue(fields, column)));
  }

  #fromTexts(fields: Fields, place: RecordPlace): PreferencePair {
    const { prompt, chosen, rejected, messages, system, tools } = this.#names;
    refuseOtherForms(fields, [prompt, chosen, rejected], place);
    const whole = { chosen: filledTextField(fields, chosen), rejected: filledTextField(fields, rejected) };
    if (whole.chosen === whole.rejected) throw new BadRecord(`the same text as in \`${chosen}\``, rejected);
    for (const column of [messages, system, tools, templateVariables]) this.#passOver(fields, column, place);
    if (columnValue(fields, prompt) === undefined) return this.#fromDialogues(whole, place);
    const pair = { prompt: textField(fields, prompt), ...whole };
    const without = withoutRepeatedPrompt(pair);
    if (!without) return { ...pair, place };
    const strip = this.#settings.repeatedPrompt === "strip";
    const used = strip ? { ...without, ...this.#checked(without, "without the prompt") } : pair;
    this.repeatedPrompts.add(place);
    return { ...used, place };
  }

  #passOver(fields: Fields, column: string, place: RecordPlace): void {
    const value = columnValue(fields, column);
    if (value === undefined || value === "") return;
    if (!this.besideTexts.has(column)) this.besideTexts.set(column, new Tally());
    this.besideTexts.get(column)!.add(place);
  }

  #fromDialogues(whole: { chosen: string; rejected: string }, place: RecordPlace): PreferencePair {
    const { prompt, chosen, rejected } = this.#names;
    const start = sharedPromptLength(whole.chosen, whole.rejected);
    if (start === 0) {
      const problem = `is missing, and \`${chosen}\` and \`${rejected}\` have no common beginning`;
      throw new BadRecord(`${problem} that ends with ${quoted(assistantTurn)}`, prompt);
    }
    const answers = this.#checked({ chosen: whole.chosen.slice(start), rejected: whole.rejected.slice(start) });
    if (hasFurtherTurns(answers.chosen) || hasFurtherTurns(answers.rejected)) this.multiTurnAnswers.add(place);
    return { prompt: whole.chosen.slice(0, start), ...answers, place };
  }

  /** The answers of a pair after something was taken off their beginnings. */
  #checked(answers: { chosen: string; rejected: string }, when?: string) {
    for (const side of ["chosen", "rejected"] as const)
      if (answers[side].trim() === "") throw new BadRecord(`is blank${when ? ` ${when}` : ""}`, this.#names[side]);
    return answers;
  }

  #fromTurns(fields: Fields, place: RecordPlace): PreferencePair {
    const names = this.#names;
    const [chosen, rejected] = [names.chosen, names.rejected].map((column) => answerField(fields, column));
    const turns = turnsOf({ prompt: this.#promptOf(fields), chosen, rejected }, names);
    const conversation = {
      messages: withSystem(turns.prompt, columnValue(fields, names.system), names.system),
      tools: toolsIn(columnValue(fields, names.tools), names.tools),
      variables: variablesIn(fields),
    };
    const chat = this.#settings.chat;
    if (!chat) throw new RangeError("conversations are read without a chat template");
    const rendered = chat().render(conversation, [turns.chosen, turns.rejected], {
      prompt: names.prompt,
      answers: [names.chosen, names.rejected],
    });
    const [first, second] = rendered.answers as [string, string];
    if (first === second)
      throw new BadRecord(`the same as \`${names.chosen}\`, as the chat template writes it`, names.rejected);
    this.conversations.add(place);
    return { prompt: rendered.prompt, chosen: first, rejected: second, chat: rendered.chat, place };
  }

  /** The prompt, or the messages before it and it. */
  #promptOf(fields: Fields): unknown {
    const { prompt, messages } = this.#names;
    const [own, before] = [columnValue(fields, prompt), columnValue(fields, messages)];
    if (!isConversation(before)) return own === "" ? undefined : own;
    return [...promptIn(before, messages), ...(own === undefined || own === "" ? [] : promptIn(own, prompt))];
  }
}

/** The difference of two scores; undefined where a record has none. */
function marginOf(fields: Fields): number | undefined {
  for (const columns of scoreColumns) {
    const values = columns.map((column) => columnValue(fields, column));
    if (values.every((value) => value === undefined)) continue;
    const wrong = values.findIndex((value) => typeof value !== "number" || !Number.isFinite(value));
    if (wrong >= 0) throw new BadRecord("must be a number, as the score of the other answer", columns[wrong]);
    const [chosen, rejected] = values as [number, number];
    return chosen - rejected;
  }
  return undefined;
}

function answerField(fields: Fields, column: string): unknown {
  const value = columnValue(fields, column);
  return isConversation(value) || Array.isArray(value) ? value : filledTextField(fields, column);
}

function withSystem(prompt: readonly Message[], system: unknown, column: string): readonly Message[] {
  if (system === undefined || system === "") return prompt;
  if (typeof system !== "string") throw new BadRecord("must be a text", column);
  const [first] = prompt;
  if (first?.role !== "system") return [{ role: "system", content: system }, ...prompt];
  if (first.content === system) return prompt;
  throw new BadRecord("is another text than that of the prompt's turn of the system", column);
}

function variablesIn(fields: Fields): Record<string, unknown> | undefined {
  const value = columnValue(fields, templateVariables);
  if (value === undefined) return undefined;
  if (typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new BadRecord("must be an object of variables for the chat template", templateVariables);
}
