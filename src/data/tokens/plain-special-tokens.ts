import { addedTokensOf, type JsonObject, objectOf } from "./definition.ts";

/**
 * A tokenizer that reads special tokens written out in a text, such as `<|endoftext|>`, as the
 * characters they are written with. They keep their ids, under names that no text holds.
 *
 * @param definition The content of a `tokenizer.json`.
 * @returns The changed copy, or undefined if there are no special tokens.
 */
export function withoutSpecialTokens(definition: JsonObject): JsonObject | undefined {
  const tokens = addedTokensOf(definition);
  const model = objectOf(definition.model, "model");
  // The unknown-token is looked up by its name.
  const special = new Set(tokens.filter((token) => token.special).map(({ content }) => content));
  const unknown = model.unk_token;
  if (special.size === 0) return undefined;
  const renamed = (token: string) => (special.has(token) ? plainName(token) : token);
  const inModel = (token: string) => (token === unknown ? token : renamed(token));
  const vocab = Array.isArray(model.vocab)
    ? model.vocab.map(([token, score]: [string, number]) => [renamed(token), score])
    : Object.fromEntries(
        Object.entries(objectOf(model.vocab, "model.vocab")).map(([token, id]) => [inModel(token), id]),
      );
  return {
    ...definition,
    added_tokens: tokens
      .filter(({ content }) => content !== unknown || !(content in vocab))
      .map((token) => ({ ...token, content: renamed(token.content) })),
    model: { ...model, vocab },
  };
}

/** The name of a special token where the one that texts spell out is none. */
export function plainName(token: string): string {
  return `\u{10FFFF}${token}\u{10FFFF}`;
}
