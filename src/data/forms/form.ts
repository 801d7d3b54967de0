import type { Chat } from "../chat/chat.ts";
import type { ConvertedRecords, OnBadRecord } from "../files/convert.ts";
import type { Remarks } from "../remarks.ts";
import type { Tally } from "../tally.ts";
import type { TokenizedData, TokenizeOptions } from "../tokenize.ts";
import type { TextRequest, Tokenizer } from "../tokens/tokenizer.ts";

/**
 * A form of training data: its records, and how they become examples. A form is one file here and
 * one row in `forms/index.ts`; the recipe's keys, reading, splitting, `init` and the documents
 * derive from it.
 *
 * @template Item what one record becomes
 * @template Column the columns that can have other names
 */
export interface Form<Item = unknown, Column extends string = string> {
  /** In a recipe: `data.format`. */
  readonly name: string;
  /** For those who choose a form: what it is, and what it is for. */
  readonly summary: string;
  /** The names of one item and of several. */
  readonly item: string;
  readonly items: string;
  /** The keys of `data.columns`, with what each column holds. */
  readonly columns: Readonly<Record<Column, string>>;
  /** A record with a value in one of these columns is of this form. */
  readonly signs: readonly Column[];
  /** The numbers of answers that objectives may take of an item. */
  readonly responses: readonly (1 | 2)[];
  /** Items that share a prompt are on one side of a split. */
  readonly hasPrompts: boolean;
  /** Items can be joined and divided into windows (`data.pack`). */
  readonly packs: boolean;

  /**
   * Reads the items of one or more files (see `readRecords` for the kinds of file).
   *
   * @throws UserError for an unreadable file, for a bad record if `onBadPair` is "error", and if no
   * item is left.
   */
  read(files: string | readonly string[], settings: ReadSettings<Column>): Promise<FormData<Item>>;

  /**
   * Splits items into training and held-out ones. Both sides keep the order.
   *
   * @param options.heldOut a count, or a share below 1; 0 holds out none
   * @throws UserError if nothing would be left to train on.
   */
  split(items: readonly Item[], options: { heldOut: number; seed: number }): { train: Item[]; heldOut: Item[] };

  /** Text that is the same for all items with one prompt; only forms with prompts have it. */
  promptKey?(item: Item): string;

  /** The texts that `tokenize` will ask the tokenizer for, by columns. */
  requests(items: readonly Item[], responses: number): TextRequest[][];

  /**
   * Turns items into examples.
   *
   * @throws UserError for impossible limits, or a tokenizer of another model.
   */
  tokenize(items: readonly Item[], tokenizer: Tokenizer, options: FormTokenizeOptions): Promise<TokenizedData>;
}

/** The settings of a recipe's `data` that a form reads by. */
export interface ReadSettings<Column extends string = string> {
  /** Other names of columns. */
  readonly columns?: Readonly<Partial<Record<Column, string | undefined>>>;
  readonly onBadPair?: OnBadRecord | undefined;
  readonly repeatedPrompt?: "keep" | "strip" | undefined;
  /**
   * Gives what renders conversations; asked once there is one.
   *
   * @throws UserError where the model has no chat template
   */
  readonly chat?: (() => Chat) | undefined;
  /** True if texts are turns as well: a prompt the user's, an answer the assistant's. */
  readonly textsAsTurns?: boolean | undefined;
  /** Stop after so many items. */
  readonly limit?: number | undefined;
}

/** The items of files, and what is worth knowing about them. */
export interface FormData<Item> extends ConvertedRecords<Item> {
  /** Records that something holds for, by what that is. */
  readonly tallies: Readonly<Partial<Record<Finding, Tally>>>;
  /** Items that a chat template wrote. */
  readonly conversations: number;
  /** Says in sentences for the user what was found. */
  remark(remarks: Remarks): void;
}

/**
 * `repeats` equal an earlier item, `contradictions` an earlier one with the answers swapped. In
 * `repeatedPrompts` both answers began with the prompt. In `multiTurnAnswers` an answer holds
 * further turns of a dialogue.
 */
export type Finding = "repeats" | "contradictions" | "repeatedPrompts" | "multiTurnAnswers";

export interface FormTokenizeOptions extends TokenizeOptions {
  /** The answers that the objective takes. */
  readonly responses: 1 | 2;
  readonly pack?: boolean | undefined;
}
