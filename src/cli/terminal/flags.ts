import type { Command } from "commander";
import type { Place } from "../../errors.ts";

/** The flags of the command that runs, by the names of the options that they set. */
let flags: ReadonlyMap<string, string> = new Map();

/** Options of the library that a flag has another name for. */
const otherNames: Readonly<Record<string, string>> = { scorerTimeout: "timeout" };

/** From now on, messages name options by the flags of this command. */
export function speakFlagsOf(command: Command): void {
  flags = new Map(
    command.options.map((option) => {
      const name = option.attributeName();
      return [otherNames[name] ?? name, option.long ?? option.flags];
    }),
  );
}

/**
 * A message of the library in the words of the command line: options, which the library names as
 * `` `maxLength: 512` ``, become flags, `--max-length 512`. What is no option of the command, such
 * as a key of the recipe, stays as it is.
 */
export function withFlags(message: string): string {
  return message.replace(/`([a-z]\w*)(?:: ([^`]*))?`/gi, (whole, name: string, value?: string) => {
    const flag = flags.get(name);
    if (!flag) return whole;
    return value === undefined ? flag : `${flag} ${words(value)}`;
  });
}

/** The message of an error, its place too in the words of the command line. */
export function errorWithFlags({ message, place }: { message: string; place: Place }): string {
  const flag = place.file === undefined && flagOf(place.field);
  return withFlags(flag ? `${flag}${message.slice(place.field!.length)}` : message);
}

/** `objective` has a flag, and so has `objective.beta` where the command has one for `beta`. */
function flagOf(field: string | undefined): string | undefined {
  return field === undefined ? undefined : flags.get(field.slice(field.lastIndexOf(".") + 1));
}

/** `{ prompt: question, chosen: good }` as `prompt=question chosen=good`. */
function words(value: string): string {
  const inside = /^\{ (.*) \}$/.exec(value)?.[1];
  return inside === undefined ? value : inside.replaceAll(": ", "=").replaceAll(", ", " ");
}
