/**
 * What pairs and texts have in common: every record becomes one item or is a bad record, and no bad record goes unnoticed.
 */
import { UserError } from "../../errors.ts";
import { grouped } from "../../words.ts";
import { type Fields, kindOf, type RecordPlace, readRecords } from "./read.ts";

/** Stop at the first bad record, or leave bad records out and list them. */
export type OnBadRecord = "error" | "skip";

export interface SkippedRecord extends RecordPlace {
  readonly reason: string;
}

/** Thrown by a converter: this record cannot be used. `field` is the column to blame. */
export class BadRecord extends Error {
  override readonly name = "BadRecord";
  readonly field: string | undefined;

  constructor(reason: string, field?: string) {
    super(reason);
    this.field = field;
  }
}

/**
 * Converts every record of the files, in order.
 *
 * @param convert Returns the item, or throws `BadRecord`.
 * @throws UserError at the first bad record if `onBad` is "error", and in any case if no item is left.
 */
export async function convertRecords<Item>(
  files: string | readonly string[],
  columns: readonly string[],
  onBad: OnBadRecord,
  convert: (fields: Fields, place: RecordPlace) => Item,
): Promise<{ items: Item[]; skipped: SkippedRecord[] }> {
  const items: Item[] = [];
  const skipped: SkippedRecord[] = [];
  const list = typeof files === "string" ? [files] : files;
  for (const file of list) {
    for await (const record of readRecords(file, { columns })) {
      try {
        if ("problem" in record) throw new BadRecord(record.problem);
        items.push(convert(record.fields, record.place));
      } catch (error) {
        if (!(error instanceof BadRecord)) throw error;
        const { message: reason, field } = error;
        if (onBad === "skip")
          skipped.push({ ...record.place, reason: field === undefined ? reason : `${field}: ${reason}` });
        else throw new UserError(reason, { ...record.place, ...(field === undefined ? {} : { field }), hint });
      }
    }
  }
  if (items.length === 0) {
    const [first] = skipped;
    if (first === undefined) throw new UserError("no data file is named");
    const { reason, ...place } = first;
    const bad =
      skipped.length === 1 ? "the only record is bad" : `all ${grouped(skipped.length)} records are bad, this one`;
    throw new UserError(`nothing is left: ${bad} because ${reason}`, place);
  }
  return { items, skipped };
}

const hint = "correct the file, or set `onBadPair: skip` to leave out and count what cannot be used";

/** What a record holds in a column; undefined if there is no such column, or null in it. */
export function columnValue(fields: Fields, column: string): unknown {
  return Object.hasOwn(fields, column) ? (fields[column] ?? undefined) : undefined;
}

/**
 * The text in a column. Throws `BadRecord` if it is missing, null, not text, or holds half a character (a lone surrogate, which no
 * tokenizer can encode).
 */
export function textField(fields: Fields, column: string): string {
  const value = columnValue(fields, column);
  if (value === undefined) {
    throw new BadRecord(
      `is missing; the record has ${
        Object.keys(fields)
          .map((name) => `\`${name}\``)
          .join(", ") || "no fields"
      }`,
      column,
    );
  }
  if (typeof value !== "string") throw new BadRecord(`must be a text, not ${kindOf(value)}`, column);
  if (/\p{Surrogate}/u.test(value)) throw new BadRecord("holds half a character (a lone surrogate escape)", column);
  return value;
}

/** Like `textField`, and there must be something besides white space. */
export function filledTextField(fields: Fields, column: string): string {
  const text = textField(fields, column);
  if (text.trim() === "") throw new BadRecord("is blank", column);
  return text;
}
