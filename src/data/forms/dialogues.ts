/** Whole dialogues as texts, in the form of Anthropic's HH data. */

export const assistantTurn = "\n\nAssistant:";
const anyTurn = /\n\n(Human|Assistant):/;

/**
 * The length of the prompt that two dialogues share: their longest common beginning that ends with
 * `assistantTurn`; 0 if they share none.
 */
export function sharedPromptLength(chosen: string, rejected: string): number {
  let common = 0;
  while (common < chosen.length && chosen[common] === rejected[common]) common++;
  const turn = chosen.slice(0, common).lastIndexOf(assistantTurn);
  return turn < 0 ? 0 : turn + assistantTurn.length;
}

/** True if an answer holds further turns. */
export function hasFurtherTurns(answer: string): boolean {
  return anyTurn.test(answer);
}
