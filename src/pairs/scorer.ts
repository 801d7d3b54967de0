import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";

/** An answer to be scored. */
export interface ScorerItem {
  readonly prompt: string;
  readonly response: string;
}

/** Says how good answers are: the higher, the better. */
export interface Scorer {
  /** One finite number for each item, in order. Throws a `UserError` where the scorer fails. */
  score(items: readonly ScorerItem[]): Promise<number[]>;
  /** Ends what the scorer runs on. */
  dispose(): Promise<void>;
}

/** The number that a scorer from outside gave; throws a `UserError` that shows what came instead. */
export function checkScore(value: unknown, scorer: string): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new UserError(`a score must be a number, not ${value === undefined ? "missing" : quoted(value)}`, {
    field: scorer,
  });
}

/** The beginning of a text, for an error message. */
export function excerpt(text: string): string {
  const limit = 80;
  return text.length > limit ? `${text.slice(0, limit)}…` : text;
}
