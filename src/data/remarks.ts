/**
 * The findings of readers in the data, in sentences for the user: each once, with its number and
 * the first place.
 */
import { oneLine, shortened } from "../one-line.ts";
import { counted, grouped } from "../words.ts";
import type { ConvertedRecords } from "./files/convert.ts";
import type { PreferenceData } from "./forms/pairs.ts";
import { inWords } from "./tally.ts";

/** Gathers sentences for the user. */
export interface Remarks {
  readonly notes: string[];
  readonly warnings: string[];
}

/** Bad records that are listed one by one, and columns that are named. */
const listed = 10;

/**
 * Columns that say how an answer came about: without them a model learns answers to something that
 * it does not see.
 */
const partsOfPrompts =
  /^(system|system_?prompt|history|context|input|instruction|messages|conversations?|tools|images?)$/i;

/** Says what is to be said of any records. */
export function remarkRecords(
  {
    skipped,
    unused,
    unreadFrom,
    records,
    what,
  }: Omit<ConvertedRecords<unknown>, "items"> & { readonly records: number; readonly what: "pair" | "text" },
  { notes, warnings }: Remarks,
): void {
  if (unreadFrom) notes.push(`data.limit: the first ${counted(records, what)}; unread from ${inWords(unreadFrom)} on`);
  if (skipped.length > 0) {
    const list = skipped.slice(0, listed).map((record) => `  ${inWords(record)}: ${oneLine(record.reason)}`);
    if (skipped.length > listed) list.push(`  … and ${grouped(skipped.length - listed)} more`);
    warnings.push([`skipped ${counted(skipped.length, "bad record")}:`, ...list].join("\n"));
  }
  for (const isPart of [true, false]) {
    const columns = [...unused].filter(([name]) => partsOfPrompts.test(name) === isPart);
    if (columns.length === 0) continue;
    const names = columns.slice(0, listed).map(([name, { count, firstInWords }]) => {
      return `\`${oneLine(shortened(name, 60))}\` (${counted(count, "record")}${firstInWords})`;
    });
    if (columns.length > listed) names.push(`${grouped(columns.length - listed)} or more others`);
    const list = names.join(", ");
    if (isPart)
      warnings.push(`not read, though the answers may rest on it: ${list}; put it into the prompts where it matters`);
    else notes.push(`columns that are not read: ${list}`);
  }
}

/** Says what is to be said of pairs. */
export function remarkPairs(
  found: PreferenceData,
  { repeatedPrompt = "keep" }: { readonly repeatedPrompt?: "keep" | "strip" | undefined },
  remarks: Remarks,
): void {
  const { pairs, multiTurnAnswers, repeatedPrompts, repeats, contradictions } = found;
  const { notes, warnings } = remarks;
  remarkRecords({ records: pairs.length, what: "pair", ...found }, remarks);
  if (multiTurnAnswers.count > 0)
    notes.push(
      `${grouped(multiTurnAnswers.count)} pairs part ways before the last turn, so that an answer holds further turns`,
    );
  if (repeatedPrompts.count > 0) {
    const which = `${grouped(repeatedPrompts.count)} of ${counted(pairs.length, "pair")}`;
    const { firstInWords } = repeatedPrompts;
    if (repeatedPrompt === "strip")
      notes.push(`${which}: the prompt is taken off the start of both answers${firstInWords}`);
    else
      warnings.push(
        `${which}: both answers begin with the prompt${firstInWords}; the model would learn to repeat it: ` +
          "`data.repeatedPrompt: strip` takes it off",
      );
  }
  if (repeats.count > 0)
    notes.push(`${counted(repeats.count, "pair repeats", "pairs repeat")} an earlier one${repeats.firstInWords}`);
  if (contradictions.count > 0) {
    const which = counted(contradictions.count, "pair contradicts", "pairs contradict");
    warnings.push(`${which} an earlier one: the same prompt, the answers swapped${contradictions.firstInWords}`);
  }
}
