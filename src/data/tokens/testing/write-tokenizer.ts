import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** An added token of a tokenizer.json, special unless said otherwise. */
export function added(id: number, content: string, change: object = {}) {
  return {
    ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    ...change,
  };
}

/** A tokenizer of letters: a BPE model without merges and with an unknown-token. */
export function lettersDefinition(change: object = {}): Record<string, unknown> {
  const vocab = Object.fromEntries(["<unk>", "<s>", "</s>", "a", "b", "c", "x", " "].map((token, id) => [token, id]));
  return {
    version: "1.0",
    added_tokens: [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: "Fuse" },
    model: { type: "BPE", unk_token: "<unk>", vocab, merges: [] },
    ...change,
  };
}

/** A post-processor that puts a token in front of a text. */
export function template(id: number, content: string): object {
  return {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: content, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 0 } }],
    special_tokens: { [content]: { id: content, ids: [id], tokens: [content] } },
  };
}

/**
 * Writes the files of a tokenizer into a new folder; tokenizer_config.json names `<s>` and `</s>`
 * unless it is given.
 */
export async function writeTokenizer(
  definition: object,
  files: Readonly<Record<string, object>> = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tokenwise-tokenizer-"));
  const config = { bos_token: "<s>", eos_token: "</s>" };
  for (const [name, content] of Object.entries({
    "tokenizer_config.json": config,
    ...files,
    "tokenizer.json": definition,
  }))
    await writeFile(join(folder, name), JSON.stringify(content));
  return folder;
}
