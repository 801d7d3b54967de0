import { convertRecords, filledTextField, type OnBadRecord, type SkippedRecord } from "../files/convert.ts";
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
}

/**
 * Reads texts from one or more files (see `readRecords` for the kinds of file).
 *
 * @throws UserError for an unreadable file, for a bad text if `onBadPair` is "error", and if no text is left.
 */
export async function readTexts(
  files: string | readonly string[],
  { column = "text", onBadPair = "error" }: TextOptions = {},
): Promise<{ texts: PlainText[]; skipped: SkippedRecord[] }> {
  const { items, skipped } = await convertRecords(files, [column], onBadPair, (fields, place) => ({
    text: filledTextField(fields, column),
    place,
  }));
  return { texts: items, skipped };
}
