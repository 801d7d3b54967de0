/**
 * The rule for all forms of data: every record becomes one item or is a bad record, and no bad
 * record goes unnoticed.
 */
import { UserError } from "../../errors.ts";
import { grouped } from "../../words.ts";
import type { Tally } from "../tally.ts";
import { type Fields, kindOf, type RecordPlace, readRecords } from "./read.ts";
import { UnusedColumns } from "./unused-columns.ts";

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

/** The result of converting the records of some files. */
export interface ConvertedRecords<Item> {
  readonly items: Item[];
  /** The records left out, with the reason; empty unless bad records are skipped. */
  readonly skipped: SkippedRecord[];
  /** The columns that nothing reads, by name. */
  readonly unused: ReadonlyMap<string, Tally>;
  /** The first record that was left unread because the limit was reached. */
  readonly unreadFrom: RecordPlace | undefined;
}

/**
 * Converts the records of the files, in order.
 *
 * @param options.columns those that `convert` looks at
 * @param options.limit stop after so many items
 * @param convert Returns the item, or throws `BadRecord`.
 * @throws UserError at the first bad record if `onBad` is "error", and in any case if no item is
 * left.
 */
export async function convertRecords<Item>(
  files: string | readonly string[],
  options: { columns: readonly string[]; onBad: OnBadRecord; limit?: number | undefined },
  convert: (fields: Fields, place: RecordPlace) => Item,
): Promise<ConvertedRecords<Item>> {
  const { columns, onBad, limit = Number.POSITIVE_INFINITY } = options;
  const items: Item[] = [];
  const skipped: SkippedRecord[] = [];
  const unused = new UnusedColumns(columns);
  let unreadFrom: RecordPlace | undefined;
  for (const file of [files].flat()) {
    for await (const record of readRecords(file, { columns })) {
      if (items.length >= limit) {
        unreadFrom = record.place;
        break;
      }
      try {
        if ("problem" in record) throw new BadRecord(record.problem, record.field);
        items.push(convert(record.fields, record.place));
        unused.add(record.fields, record.place, record.unread);
      } catch (error) {
        if (!(error instanceof BadRecord)) throw error;
        const { message: reason, field } = error;
        if (onBad === "skip")
          skipped.push({ ...record.place, reason: field === undefined ? reason : `${field}: ${reason}` });
        else throw new UserError(reason, { ...record.place, ...(field === undefined ? {} : { field }), hint });
      }
    }
    if (unreadFrom) break;
  }
  if (items.length === 0) refuseNothing(skipped);
  return { items, skipped, unused: unused.tallies, unreadFrom };
}

function refuseNothing([first, ...others]: readonly SkippedRecord[]): never {
  if (first === undefined) throw new UserError("no data file is named");
  const { reason, ...place } = first;
  const bad =
    others.length === 0 ? "the only record is bad" : `all ${grouped(others.length + 1)} records are bad, this one`;
  throw new UserError(`nothing is left: ${bad} because ${reason}`, place);
}

const hint = "correct the file, or set `onBadPair: skip` to leave out and count what cannot be used";

/** The value of a column in a record; undefined if there is no such column, or null in it. */
export function columnValue(fields: Fields, column: string): unknown {
  return Object.hasOwn(fields, column) ? (fields[column] ?? undefined) : undefined;
}

/**
 * The text in a column. Throws `BadRecord` if it is missing, null, not text, or holds half a
 * character (a lone surrogate, which no tokenizer can encode).
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
