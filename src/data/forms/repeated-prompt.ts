import { assistantTurn, sharedPromptLength } from "./dialogues.ts";
import type { PreferencePair } from "./pairs.ts";

type Texts = Pick<PreferencePair, "prompt" | "chosen" | "rejected">;

/**
 * The pair without the prompt at the start of its answers; undefined if not both answers repeat it.
 * Two forms are known: both answers begin with the prompt itself, or both are whole dialogues in
 * which the prompt is the last question before they part; then the beginning of the dialogue
 * becomes the prompt.
 */
export function withoutRepeatedPrompt({ prompt, chosen, rejected }: Texts): Texts | undefined {
  const question = prompt.trim();
  if (question === "") return undefined;
  if (chosen.startsWith(prompt) && rejected.startsWith(prompt))
    return { prompt, chosen: chosen.slice(prompt.length), rejected: rejected.slice(prompt.length) };
  const start = sharedPromptLength(chosen, rejected);
  const beginning = chosen.slice(0, start);
  if (!beginning.slice(0, -assistantTurn.length).trimEnd().endsWith(question)) return undefined;
  return { prompt: beginning, chosen: chosen.slice(start), rejected: rejected.slice(start) };
}
