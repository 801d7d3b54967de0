import { UserError } from "../../errors.ts";
import { type ConvertedRecords, convertRecords, filledTextField, type OnBadRecord } from "../files/convert.ts";
import type { RecordPlace } from "../files/read.ts";
import { epochOrder } from "../order.ts";
import { remarkRecords } from "../remarks.ts";
import { tokenizeTexts } from "../tokenize.ts";
import type { Form } from "./form.ts";

/** Texts are learnt whole, without prompts. */
export const text = {
  name: "text",
  summary: "plain text for supervised training",
  item: "text",
  items: "texts",
  columns: { text: "text" },
  signs: ["text"],
  responses: [1],
  hasPrompts: false,
  packs: true,

  async read(files, { columns, onBadPair, limit }) {
    const { texts: items, ...found } = await readTexts(files, { column: columns?.text, onBadPair, limit });
    const remark = (remarks: Parameters<typeof remarkRecords>[1]) =>
      remarkRecords({ records: items.length, what: "text", ...found }, remarks);
    return { items, ...found, conversations: 0, tallies: {}, remark };
  },

  split(texts, { heldOut, seed }) {
    const isShare = heldOut > 0 && heldOut < 1;
    const count = isShare ? Math.max(1, Math.round(heldOut * texts.length)) : heldOut;
    if (count >= texts.length) {
      const problem = `holding out ${count} of ${texts.length} texts leaves none to train on`;
      throw new UserError(problem, { field: "data.heldOut" });
    }
    const chosen = new Set(epochOrder(texts.length, seed, 0).subarray(0, count));
    return {
      train: texts.filter((_, index) => !chosen.has(index)),
      heldOut: texts.filter((_, index) => chosen.has(index)),
    };
  },

  requests: (texts) => [texts.map(({ text }) => ({ text, continues: false }))],
  tokenize: (texts, tokenizer, { responses: _, ...options }) => tokenizeTexts(texts, tokenizer, options),
} as const satisfies Form<PlainText, "text">;

/** A text to learn whole, such as a review or an article. */
export interface PlainText {
  readonly text: string;
  readonly place: RecordPlace;
}

export interface TextOptions {
  /** The column that holds the text. Default: `text`. */
  readonly column?: string | undefined;
  /** The treatment of a text that is missing, blank or no text. Default: "error". */
  readonly onBadPair?: OnBadRecord | undefined;
  /** Stop after so many texts. */
  readonly limit?: number | undefined;
}

/** Texts, and what is worth knowing about them. */
export interface TextData extends Omit<ConvertedRecords<PlainText>, "items"> {
  readonly texts: PlainText[];
}

/**
 * Reads texts from one or more files (see `readRecords` for the kinds of file).
 *
 * @throws UserError for an unreadable file, for a bad text if `onBadPair` is "error", and if no
 * text is left.
 */
export async function readTexts(
  files: string | readonly string[],
  { column = "text", onBadPair: onBad = "error", limit }: TextOptions = {},
): Promise<TextData> {
  const { items, ...rest } = await convertRecords(files, { columns: [column], onBad, limit }, (fields, place) => ({
    text: filledTextField(fields, column),
    place,
  }));
  return { texts: items, ...rest };
}
