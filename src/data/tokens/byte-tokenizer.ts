import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { byteSymbols } from "./byte-symbols.ts";

export const endOfText = "<|endoftext|>";

/**
 * Writes the `tokenizer.json` and `tokenizer_config.json` of a small byte-level BPE: ids 0–255 are
 * the bytes, then one token for each merge, and last `<|endoftext|>`, which is BOS and EOS as in
 * GPT-2. Enough for a test or a demonstration without a download.
 *
 * @param merges Pairs of tokens of ASCII letters and digits that merge, in order of rank, e.g.
 * `[["t", "h"], ["th", "e"]]`.
 * @returns The size of the vocabulary.
 */
export async function writeByteTokenizer(
  folder: string,
  merges: readonly (readonly [string, string])[] = [],
  options: { addBos?: boolean } = {},
): Promise<number> {
  const tokens = [...byteSymbols, ...merges.map(([left, right]) => left + right)];
  const endId = tokens.length;
  const special = {
    id: endId,
    content: endOfText,
    special: true,
    normalized: false,
    single_word: false,
    lstrip: false,
    rstrip: false,
  };
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const startsWithEnd = {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: endOfText, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { [endOfText]: { id: endOfText, ids: [endId], tokens: [endOfText] } },
  };
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [special],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: options.addBos ? startsWithEnd : null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries([...tokens, endOfText].map((token, id) => [token, id])),
      merges: merges.map(([left, right]) => `${left} ${right}`),
    },
  };
  const config = { tokenizer_class: "PreTrainedTokenizerFast", bos_token: endOfText, eos_token: endOfText };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify(config));
  return endId + 1;
}
