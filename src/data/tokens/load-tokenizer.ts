import { existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../errors.ts";
import { ChatTemplate } from "./chat-template.ts";
import { readChatTemplates } from "./chat-template-files.ts";
import type { JsonObject } from "./definition.ts";
import { endOfTurn } from "./end-of-turn.ts";
import { generationEnds } from "./generation-ends.ts";
import { readObject } from "./json-file.ts";
import type { TokenizerLibrary } from "./library.ts";
import type { JsonFile, ModelTokens } from "./special-tokens.ts";
import { type ChatTemplates, createTokenizer, type Tokenizer } from "./tokenizer.ts";

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
  const sources = await readChatTemplates(folder, files.config[1]);
  return withTemplates(tokenizer, { sources, variables: namedTokens(files.map[1], files.config[1]) });
}

/** Adds chat templates, whose end of a turn ends an answer as EOS does. */
function withTemplates(tokenizer: Tokenizer, chat: ChatTemplates): Tokenizer {
  const { eosIds, specialTokens } = tokenizer;
  const end = eosIds.length > 0 ? defaultEnd(chat, specialTokens) : undefined;
  return { ...tokenizer, chat, eosIds: end === undefined ? eosIds : [...new Set([...eosIds, end])] };
}

function defaultEnd(
  { sources, variables }: ChatTemplates,
  specialTokens: Tokenizer["specialTokens"],
): number | undefined {
  if (!sources.has("default")) return undefined;
  try {
    return endOfTurn(new ChatTemplate(sources, variables), specialTokens);
  } catch (error) {
    // A template that cannot be read is an error where it is needed.
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** Files of tokenizers in other forms than `tokenizer.json`. */
const slowTokenizers = [
  ...["tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model.v3", "tekken.json"],
  ...["merges.txt", "vocab.json", "vocab.txt", "tokenizer.tiktoken", "qwen.tiktoken"],
];

async function nodeLibrary(): Promise<TokenizerLibrary> {
  return (await import("./rust-library.ts")).rustLibrary();
}

/** The texts of tokens that files name, such as `bos_token`; a later file holds. */
function namedTokens(...contents: readonly JsonObject[]): Record<string, string> {
  const texts = contents
    .flatMap((content) => Object.entries(content))
    .filter(([key]) => key.endsWith("_token"))
    .map(([key, value]) => [
      key,
      typeof value === "object" && value !== null && "content" in value ? value.content : value,
    ]);
  return Object.fromEntries(texts.filter(([, value]) => typeof value === "string"));
}
