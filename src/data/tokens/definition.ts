/** The content of a tokenizer.json: what is read of it here, with names for what is wrong. */
import { quoted } from "../../one-line.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * A part of tokenizer.json that is broken or cannot be used; whoever knows the file makes a
 * `UserError` of it.
 */
export class InvalidTokenizer extends Error {
  readonly field: string | undefined;
  readonly hint: string | undefined;

  /** @param field the part, such as `pre_tokenizer.pretokenizers.0` */
  constructor(field: string | undefined, message: string, hint?: string) {
    super(message);
    this.field = field;
    this.hint = hint;
  }
}

/**
 * Ids above it would mean a table of gigabytes; the largest vocabularies have some 260,000 tokens.
 */
const largestId = 2 ** 24 - 1;

/** A token that is found in a text before anything else is done with the text. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
}

/** The added tokens of a tokenizer.json, in its order, which the library gives ids by. */
export function addedTokensOf({ added_tokens: list = [] }: JsonObject): AddedToken[] {
  return listOf(list ?? [], "added_tokens").map((value, index) => {
    const field = `added_tokens.${index}`;
    return addedToken(objectOf(value, field), field);
  });
}

/** @param fallbackId where the id does not stand in the token itself */
export function addedToken(value: JsonObject, field: string, fallbackId?: number): AddedToken {
  const { content, special = false } = value;
  if (typeof content !== "string" || content === "") throw new InvalidTokenizer(field, "must have a `content`");
  const flag = (name: string, absent = false) => {
    const set = value[name] ?? absent;
    if (typeof set !== "boolean") throw new InvalidTokenizer(`${field}.${name}`, "must be true or false");
    return set;
  };
  return {
    id: tokenId(value.id ?? fallbackId, `${field}.id`),
    content,
    special: flag("special"),
    single_word: flag("single_word"),
    lstrip: flag("lstrip"),
    rstrip: flag("rstrip"),
    normalized: flag("normalized", !special),
  };
}

/** The ids of all tokens: those of the model and the added ones. */
export function vocabularyOf(definition: JsonObject): Map<string, number> {
  const { vocab } = objectOf(definition.model, "model");
  const ids = new Map<string, number>();
  if (Array.isArray(vocab)) {
    for (const [id, entry] of vocab.entries()) {
      if (!Array.isArray(entry) || typeof entry[0] !== "string")
        throw new InvalidTokenizer(`model.vocab.${id}`, "must be [token, score]");
      // Of repeated pieces the last one counts, as in the library.
      ids.set(entry[0], id);
    }
  } else {
    for (const [token, id] of Object.entries(objectOf(vocab, "model.vocab")))
      ids.set(token, tokenId(id, `model.vocab[${quoted(token)}]`));
  }
  for (const { content, id } of addedTokensOf(definition)) if (!ids.has(content)) ids.set(content, id);
  return ids;
}

function tokenId(id: unknown, field: string): number {
  if (typeof id !== "number" || !Number.isInteger(id) || id < 0)
    throw new InvalidTokenizer(field, `must be a whole number from 0, found ${quoted(id)}`);
  if (id > largestId) throw new InvalidTokenizer(field, `is ${id}; ids up to ${largestId} are supported`);
  return id;
}

export function objectOf(value: unknown, field: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new InvalidTokenizer(field, `must be an object, found ${quoted(value, 40)}`);
}

export function listOf(value: unknown, field: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new InvalidTokenizer(field, `must be a list, found ${quoted(value, 40)}`);
}
