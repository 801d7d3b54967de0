type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Some tokenizers (Llama 2, T5) put a space in front of every text they are given. An answer that is tokenized apart from its prompt
 * would get such a space in mid-sentence, one that its text does not have. This returns the definition without that step.
 *
 * @param definition The content of a `tokenizer.json`.
 * @returns The changed copy, or undefined if the tokenizer adds no space.
 */
export function withoutPrefixSpace(definition: JsonObject): JsonObject | undefined {
  const { normalizer, pre_tokenizer } = definition;
  const changed = { normalizer: strip(normalizer), pre_tokenizer: strip(pre_tokenizer) };
  const same = JSON.stringify(changed) === JSON.stringify({ normalizer, pre_tokenizer });
  return same ? undefined : { ...definition, ...changed };
}

/** Works on one step or a list of steps; sequences hold their steps in a list. */
function strip(step: unknown): unknown {
  if (Array.isArray(step)) return step.filter((part) => part?.type !== "Prepend").map(strip);
  if (typeof step !== "object" || step === null) return step;
  const { type } = step as { type?: unknown };
  if (type === "Prepend") return null;
  const copy: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(step)) copy[key] = key === "add_prefix_space" ? false : strip(value);
  if (type === "Metaspace") copy.prepend_scheme = "never";
  return copy;
}
