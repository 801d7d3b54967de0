import type { JsonObject } from "./definition.ts";

/**
 * Some tokenizers (Llama 2, T5) put a space in front of every text they are given. An answer that
 * is tokenized apart from its prompt would get such a space in mid-sentence, one that its text does
 * not have. This returns the definition without that step.
 *
 * @param definition The content of a `tokenizer.json`.
 * @returns The changed copy, or undefined if the tokenizer adds no space.
 */
export function withoutPrefixSpace(definition: JsonObject): JsonObject | undefined {
  const { normalizer, pre_tokenizer } = definition;
  const changed = { normalizer: withoutPrepend(normalizer), pre_tokenizer: atTextStart(pre_tokenizer) };
  const same = JSON.stringify(changed) === JSON.stringify({ normalizer, pre_tokenizer });
  return same ? undefined : { ...definition, ...changed };
}

function withoutPrepend(step: unknown): unknown {
  if (!isStep(step)) return step;
  if (step.type === "Prepend") return null;
  if (!Array.isArray(step.normalizers)) return step;
  const rest = step.normalizers.map(withoutPrepend).filter((part) => part !== null);
  return { ...step, normalizers: rest };
}

/**
 * Of a sequence only the first step sees the text. A later one sees words, and its spaces are their
 * beginnings: without them, T5's words would all be ends of words.
 */
function atTextStart(step: unknown): unknown {
  if (!isStep(step)) return step;
  if (Array.isArray(step.pretokenizers)) {
    const [first, ...rest] = step.pretokenizers;
    return { ...step, pretokenizers: [atTextStart(first), ...rest] };
  }
  if (step.type === "Metaspace") {
    const { add_prefix_space: old, ...own } = step;
    return { ...own, prepend_scheme: "never", ...(old !== undefined && { add_prefix_space: false }) };
  }
  return "add_prefix_space" in step ? { ...step, add_prefix_space: false } : step;
}

function isStep(step: unknown): step is JsonObject {
  return typeof step === "object" && step !== null;
}
