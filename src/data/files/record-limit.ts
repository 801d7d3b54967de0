import { UserError } from "../../errors.ts";
import { mebibytes } from "../../words.ts";

/**
 * Bytes that a record may have, and that may lie between two records. What is larger is no example
 * to learn from but a damaged file, or a small file that unpacks to an enormous one.
 */
export const largestRecord = 64 * 2 ** 20;

/** @throws UserError if a record has more bytes than it may have. */
export function checkRecordLength(bytes: number, place: { file: string; line: number }): void {
  if (bytes <= largestRecord) return;
  throw new UserError(`a record of more than ${mebibytes(largestRecord)} begins here`, {
    ...place,
    hint: "is the file damaged, or is each record on a line of its own?",
  });
}

/** @throws UserError if there are more blank bytes between two records than there may be. */
export function checkBlanks(bytes: number, place: { file: string; line: number }): void {
  if (bytes <= largestRecord) return;
  throw new UserError(`nothing but blanks for ${mebibytes(largestRecord)}`, { ...place, hint: "is the file damaged?" });
}
