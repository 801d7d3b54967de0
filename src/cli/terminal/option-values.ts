import { InvalidArgumentError } from "commander";
import { oneOf } from "../../words.ts";

/** Parses a whole number from `least` on, to `most` where memory or time have a limit. */
export function atLeast(least: number, most = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
    const range = Number.isFinite(most) ? `to ${most}` : "on";
    throw new InvalidArgumentError(`It must be a whole number from ${least} ${range}.`);
  };
}

/** Parses a number from `least` to `most`. */
export function number(least: number, most = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (Number.isFinite(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a number from ${least} ${Number.isFinite(most) ? `to ${most}` : "on"}.`);
  };
}

/**
 * Collects texts of an option given several times or with several values. They are taken as they
 * are.
 */
export function texts(text: string, previous: readonly string[] = []): string[] {
  return [...previous, text];
}

/** Like `texts`, for texts that may not be empty. */
export function filledTexts(text: string, previous: readonly string[] = []): string[] {
  if (text === "") throw new InvalidArgumentError("It must not be empty.");
  return texts(text, previous);
}

/** Collects `name=column` pairs: other names that columns of the data have, for some of `names`. */
export function columnOf(
  ...names: readonly string[]
): (text: string, previous?: Record<string, string>) => Record<string, string> {
  return (text, previous = {}) => {
    const [, name, column] = /^([^=]*)=(.+)$/s.exec(text) ?? [];
    if (name !== undefined && column !== undefined && names.includes(name)) return { ...previous, [name]: column };
    throw new InvalidArgumentError(`It must be name=column, where name is ${oneOf(names)}.`);
  };
}
