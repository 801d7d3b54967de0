import { existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../errors.ts";
import { chatTemplateWarning } from "./chat-template.ts";
import { generationEnds } from "./generation-ends.ts";
import { readObject } from "./json-file.ts";
import type { TokenizerLibrary } from "./library.ts";
import type { JsonFile, ModelTokens } from "./special-tokens.ts";
import { createTokenizer, type Tokenizer } from "./tokenizer.ts";

/**
 * Loads the tokenizer of a Hugging Face model folder: `tokenizer.json`, and the files beside it
 * that say more of its tokens.
 *
 * @param model The `bos_token_id` and `eos_token_id` of the model's `config.json`. The ends that
 * `generation_config.json` of the folder lists are added.
 * @param library What does the work; Hugging Face's own library if absent.
 * @throws UserError if `tokenizer.json` is missing or broken, or a special token is not in the
 * vocabulary.
 */
export async function loadTokenizer(
  folder: string,
  model: ModelTokens = {},
  library?: TokenizerLibrary,
): Promise<Tokenizer> {
  const file = join(folder, "tokenizer.json");
  const definition = await readObject(file);
  if (definition === undefined) {
    const slow = slowTokenizers.find((name) => existsSync(join(folder, name)));
    const hint = slow
      ? `the folder has a ${slow} only: save it again with AutoTokenizer, which writes a tokenizer.json`
      : "a Hugging Face model folder with a fast tokenizer is needed";
    throw new UserError("there is no such file", { file, hint });
  }
  const beside = async (name: string): Promise<JsonFile> => {
    const path = join(folder, name);
    return [path, (await readObject(path)) ?? {}];
  };
  const files = {
    definition: [file, definition] as JsonFile,
    config: await beside("tokenizer_config.json"),
    map: await beside("special_tokens_map.json"),
    added: await beside("added_tokens.json"),
  };
  const eosTokenIds = [model.eosTokenIds ?? [], await generationEnds(folder)].flat();
  const tokenizer = await createTokenizer(files, { ...model, eosTokenIds }, library ?? (await nodeLibrary()));
  const template = chatTemplateWarning(folder, files.config[1]);
  return template === undefined ? tokenizer : { ...tokenizer, warnings: [...tokenizer.warnings, template] };
}

/** Files of tokenizers in other forms than `tokenizer.json`. */
const slowTokenizers = [
  ...["tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model.v3", "tekken.json"],
  ...["merges.txt", "vocab.json", "vocab.txt", "tokenizer.tiktoken", "qwen.tiktoken"],
];

async function nodeLibrary(): Promise<TokenizerLibrary> {
  return (await import("./rust-library.ts")).rustLibrary();
}
