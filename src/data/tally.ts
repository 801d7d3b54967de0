import { oneLine, shortened } from "../one-line.ts";
import type { RecordPlace } from "./files/read.ts";

/** A count of the records that something holds for, with the place of the first. */
export class Tally {
  count = 0;
  first: RecordPlace | undefined;

  add(place: RecordPlace, count = 1): void {
    this.first ??= place;
    this.count += count;
  }

  /** `, the first at pairs.jsonl:3` */
  get firstInWords(): string {
    return this.first ? `, the first at ${inWords(this.first)}` : "";
  }
}

/** `pairs.jsonl:3` */
export function inWords({ file, line }: RecordPlace): string {
  return `${oneLine(shortened(file, 500))}:${line}`;
}
