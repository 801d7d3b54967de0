import { Tally } from "../tally.ts";
import type { Fields, RecordPlace } from "./read.ts";

/** Different names that are kept; records with a name of their own each would fill the memory. */
const keptNames = 100;

/**
 * The columns that records hold and nothing reads. An empty text or null says nothing, and does not
 * count.
 */
export class UnusedColumns {
  readonly tallies = new Map<string, Tally>();
  readonly #used: ReadonlySet<string>;

  constructor(used: readonly string[]) {
    this.#used = new Set(used);
  }

  /** @param unread columns that the file has and that were left out while reading */
  add(fields: Fields, place: RecordPlace, unread: readonly string[] = []): void {
    for (const name in fields) {
      const value = fields[name];
      if (value !== null && value !== undefined && value !== "") this.#add(name, place);
    }
    for (const name of unread) this.#add(name, place);
  }

  #add(name: string, place: RecordPlace): void {
    if (this.#used.has(name)) return;
    let tally = this.tallies.get(name);
    if (!tally) {
      if (this.tallies.size >= keptNames) return;
      tally = new Tally();
      this.tallies.set(name, tally);
    }
    tally.add(place);
  }
}
