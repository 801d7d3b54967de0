import { UserError } from "../errors.ts";
import { quoted, shortened } from "../one-line.ts";

/** An answer to be scored. */
export interface ScorerItem {
  readonly prompt: string;
  readonly response: string;
}

/** Says how good answers are: the higher, the better. */
export interface Scorer {
  /** One finite number for each item, in order. Throws a `UserError` where the scorer fails. */
  score(items: readonly ScorerItem[]): Promise<number[]>;
  /**
   * Says that nothing more will be asked, and waits for what the scorer still answers.
   *
   * @throws MisplacedScoresError if it has answered more than it was asked.
   */
  end(): Promise<void>;
  /** Ends what the scorer runs on. */
  dispose(): Promise<void>;
}

/**
 * A scorer answered something else than it was asked, so that its earlier scores may be those of
 * other answers.
 */
export class MisplacedScoresError extends UserError {}

/** An item as a scorer from outside is given it. */
export interface NumberedItem extends ScorerItem {
  /** Counts all items of a run, from 0. */
  readonly id: number;
}

/**
 * Items with the numbers that an answer may give back, so that it is matched by more than its
 * place.
 */
export function numbered(items: readonly ScorerItem[], first: number): NumberedItem[] {
  return items.map(({ prompt, response }, index) => ({ id: first + index, prompt, response }));
}

type Fail = (problem: string) => UserError;

/** True if a scorer gave back the ids that it was asked. */
export function areIdsOf(asked: readonly NumberedItem[], ids: unknown): boolean {
  return Array.isArray(ids) && ids.length === asked.length && asked.every(({ id }, place) => ids[place] === id);
}

/**
 * The number that a scorer from outside gave; throws a `UserError` that shows what came instead.
 */
export function checkScore(value: unknown, fail: Fail): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw fail(`gave no number as a score: ${value === undefined ? "missing" : quoted(value)}`);
}

/** The beginning of a text, for an error message. */
export function excerpt(text: string): string {
  return shortened(text, 80);
}
