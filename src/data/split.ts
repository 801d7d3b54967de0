import { UserError } from "../errors.ts";
import { hash32 } from "../hash.ts";
import { checkSeed } from "../random.ts";
import { counted } from "../words.ts";
import type { PreferencePair } from "./forms/pairs.ts";

/** What a split looks at; a `PreferencePair` has it. */
export type PromptAndAnswers = Pick<PreferencePair, "prompt" | "chosen" | "rejected">;

/**
 * Splits pairs into training and held-out ones so that no prompt is on both sides. Prompts are
 * drawn by a hash of the seed and the prompt: the same pairs give the same split in whatever order
 * they come. Both sides keep the order of the input.
 *
 * @param options.heldOut Pairs to hold out: a count from 1, or a share between 0 and 1; 0 holds out
 * none. Prompts are taken whole, so there may be a few more.
 * @throws UserError for an impossible number, or if nothing would be left to train on.
 */
export function splitByPrompt<Pair extends PromptAndAnswers>(
  pairs: readonly Pair[],
  options: { heldOut: number; seed: number },
): { train: Pair[]; heldOut: Pair[] } {
  const target = heldOutCount(options.heldOut, pairs.length);
  checkSeed(options.seed);
  const keys = pairs.map(promptKey);
  const groupSizes = new Map<string, number>();
  for (const key of keys) groupSizes.set(key, (groupSizes.get(key) ?? 0) + 1);
  const order = [...groupSizes.keys()]
    .map((key) => ({ key, rank: hash32(`${options.seed} ${key}`) }))
    .sort((a, b) => a.rank - b.rank || (a.key < b.key ? -1 : 1));
  const heldOutKeys = new Set<string>();
  let count = 0;
  for (const { key } of order) {
    if (count >= target) break;
    heldOutKeys.add(key);
    count += groupSizes.get(key)!;
  }
  if (count >= pairs.length) {
    throw new UserError(
      `holding out ${target} of ${counted(pairs.length, "pair")} (${counted(groupSizes.size, "different prompt")}) leaves none to train on`,
      { field: "heldOut", hint: "hold out fewer, or give a held-out file of its own" },
    );
  }
  const [train, heldOut]: [Pair[], Pair[]] = [[], []];
  for (const [index, pair] of pairs.entries()) (heldOutKeys.has(keys[index]!) ? heldOut : train).push(pair);
  return { train, heldOut };
}

/**
 * How many of the held-out pairs have a prompt that the training pairs have too: what they measure
 * is partly memory.
 */
export function countSharedPrompts(train: Iterable<PromptAndAnswers>, heldOut: Iterable<PromptAndAnswers>): number {
  const seen = new Set<string>();
  for (const pair of train) seen.add(promptKey(pair));
  let shared = 0;
  for (const pair of heldOut) if (seen.has(promptKey(pair))) shared++;
  return shared;
}

/**
 * White space around a prompt does not make it another. An empty prompt says nothing, so there the
 * answers are compared, in either order.
 */
export function promptKey({ prompt, chosen, rejected }: PromptAndAnswers): string {
  const trimmed = prompt.trim();
  return trimmed === "" ? JSON.stringify([chosen, rejected].sort()) : trimmed;
}

function heldOutCount(heldOut: number, pairs: number): number {
  if (heldOut >= 0 && heldOut < 1) return heldOut === 0 ? 0 : Math.max(1, Math.round(heldOut * pairs));
  if (Number.isInteger(heldOut) && heldOut >= 1) return heldOut;
  throw new UserError(`must be a count of pairs or a share between 0 and 1, got ${heldOut}`, { field: "heldOut" });
}
