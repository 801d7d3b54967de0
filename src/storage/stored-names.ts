import { UserError } from "../errors.ts";
import { usualHead } from "../families/family.ts";

/**
 * Parts that wrappers add to names: torch.compile, DataParallel, FSDP, activation checkpointing.
 */
const wrappers = new Set(["_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"]);

/** The names of tensors in a family's checkpoints. */
export interface Naming {
  /**
   * The prefix of the names of the model below the head, such as `model.`; some tools leave it out.
   */
  readonly prefix: string;
  /** The head's name, where it is not the embedding matrix. */
  readonly untiedHead: string;
  /** True if the model has a place for a tensor of this name. */
  isKnown(name: string): boolean;
}

/**
 * The tensors of a checkpoint by the names that the family gives them: without the parts that
 * wrappers add, and with the prefix that the base model alone lacks. A name that is not known in
 * any form stays as it is.
 *
 * @throws UserError where two tensors mean the same parameter.
 */
export function byFamilyNames<Entry extends { readonly file: string }>(
  stored: ReadonlyMap<string, Entry>,
  naming: Naming,
): Map<string, Entry> {
  const named = new Map<string, Entry>();
  const origins = new Map<string, string>();
  for (const [origin, entry] of stored) {
    const name = familyName(origin, naming);
    const other = origins.get(name);
    if (other !== undefined) {
      throw new UserError(`is stored twice: also as ${other}`, { file: entry.file, field: origin });
    }
    origins.set(name, origin);
    named.set(name, entry);
  }
  return named;
}

/** A name without the parts that wrappers add. */
export function withoutWrappers(name: string): string {
  return name
    .split(".")
    .filter((part) => !wrappers.has(part))
    .join(".");
}

function familyName(stored: string, { prefix, untiedHead, isKnown }: Naming): string {
  if (isKnown(stored)) return stored;
  const bare = withoutWrappers(stored);
  if (bare === usualHead) return untiedHead;
  const candidates = [bare, prefix + bare, ...(bare.startsWith(prefix) ? [bare.slice(prefix.length)] : [])];
  return candidates.find(isKnown) ?? stored;
}
