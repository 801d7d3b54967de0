import { UserError } from "../errors.ts";
import { hash32 } from "../hash.ts";
import { checkSeed } from "../random.ts";
import { counted } from "../words.ts";
import type { PreferencePair } from "./forms/pairs.ts";

/** The parts of a pair that a split looks at; a `PreferencePair` has it. */
export type PromptAndAnswers = Pick<PreferencePair, "prompt" | "chosen" | "rejected"> &
  Partial<Pick<PreferencePair, "chat">>;

export interface SplitOptions {
  /**
   * Items to hold out: a count from 1, or a share between 0 and 1; 0 holds out none. Prompts are
   * taken whole, so there may be a few more.
   */
  readonly heldOut: number;
  readonly seed: number;
}

/**
 * Splits pairs into training and held-out ones so that no prompt is on both sides; see
 * `splitByKey`.
 */
export function splitByPrompt<Pair extends PromptAndAnswers>(
  pairs: readonly Pair[],
  options: SplitOptions,
): { train: Pair[]; heldOut: Pair[] } {
  return splitByKey(pairs, promptKey, "pair", options);
}

/**
 * Splits items into training and held-out ones so that no prompt is on both sides. Prompts are
 * drawn by a hash of the seed and the prompt: the same items give the same split in whatever order
 * they come. Both sides keep the order of the input.
 *
 * @param keyOf the same for all items with one prompt
 * @param item what an item is called
 * @throws UserError for an impossible number, or if nothing would be left to train on.
 */
export function splitByKey<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  item: string,
  options: SplitOptions,
): { train: Item[]; heldOut: Item[] } {
  const target = heldOutCount(options.heldOut, items.length, item);
  checkSeed(options.seed);
  const keys = items.map(keyOf);
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
  if (count >= items.length) {
    throw new UserError(
      `holding out ${target} of ${counted(items.length, item)} (${counted(groupSizes.size, "different prompt")}) leaves none to train on`,
      { field: "heldOut", hint: "hold out fewer, or give a held-out file of its own" },
    );
  }
  const [train, heldOut]: [Item[], Item[]] = [[], []];
  for (const [index, one] of items.entries()) (heldOutKeys.has(keys[index]!) ? heldOut : train).push(one);
  return { train, heldOut };
}

/** The number of held-out items whose prompt is trained on too: they measure memory in part. */
export function countSharedPrompts<Item>(
  train: Iterable<Item>,
  heldOut: Iterable<Item>,
  keyOf: (item: Item) => string,
): number {
  const seen = new Set<string>();
  for (const item of train) seen.add(keyOf(item));
  let shared = 0;
  for (const item of heldOut) if (seen.has(keyOf(item))) shared++;
  return shared;
}

/**
 * White space around a prompt does not make it another. An empty prompt says nothing, so there the
 * answers are compared, in either order. Of a conversation its turns count, for a template may
 * write the date.
 */
export function promptKey({ prompt, chosen, rejected, chat }: PromptAndAnswers): string {
  if (chat) return chat.promptKey;
  const trimmed = prompt.trim();
  return trimmed === "" ? JSON.stringify([chosen, rejected].sort()) : trimmed;
}

function heldOutCount(heldOut: number, items: number, item: string): number {
  if (heldOut >= 0 && heldOut < 1) return heldOut === 0 ? 0 : Math.max(1, Math.round(heldOut * items));
  if (Number.isInteger(heldOut) && heldOut >= 1) return heldOut;
  throw new UserError(`must be a count of ${item}s or a share between 0 and 1, got ${heldOut}`, { field: "heldOut" });
}
