import { type ConvertedRecords, convertRecords, filledTextField, type OnBadRecord } from "../files/convert.ts";
import type { RecordPlace } from "../files/read.ts";

/** A text to learn whole, such as a review or an article. */
export interface PlainText {
  readonly text: string;
  readonly place: RecordPlace;
}

export interface TextOptions {
  /** The column that holds the text. Default: `text`. */
  readonly column?: string | undefined;
  /** What to do with a text that is missing, blank or no text. Default: "error". */
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
