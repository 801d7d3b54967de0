import { UserError } from "../errors.ts";
import type { RecordPlace } from "./files/read.ts";

/** A prompt and the answers to it, by their lengths. */
interface Lengths {
  readonly prompt: { readonly length: number };
  readonly responses: readonly { readonly length: number }[];
  readonly place?: RecordPlace | undefined;
}

/**
 * Checks that a model computes all answers to a prompt in one way. Some have other rotary
 * frequencies in sequences that are longer than the short context, and a prompt is computed once
 * for all its answers.
 *
 * @param model.shortContextLength absent for most models, which compute all lengths alike
 * @param model.name how messages call the model
 * @throws UserError for answers on both sides.
 */
export function checkShortContext(
  { prompt, responses, place }: Lengths,
  { shortContextLength: border, name = "the model" }: { shortContextLength?: number | undefined; name?: string },
): void {
  if (border === undefined) return;
  const lengths = responses.map(({ length }) => prompt.length + length);
  if (new Set(lengths.map((length) => length > border)).size < 2) return;
  throw new UserError(
    `with their prompt the answers have ${lengths.join(" and ")} tokens; from ${border + 1} on ` +
      `${name} has other rotary frequencies, and one prompt cannot have both`,
    { ...place, hint: `set maxLength to ${border}, or leave the pair out` },
  );
}
