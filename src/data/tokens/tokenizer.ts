import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { UserError } from "../../errors.ts";
import { readJson } from "../../json.ts";
import { quoted } from "../../one-line.ts";
import { withoutPrefixSpace } from "./prefix-space.ts";
import { resolveSpecialTokens, type SpecialTokens } from "./special-tokens.ts";

/** Texts to token ids and back. Nothing here adds BOS or EOS: that is the business of `boundaries.ts` alone. */
export interface Tokenizer extends SpecialTokens {
  /** The file it came from, for error messages. */
  readonly file: string;
  /** The same for tokenizers that give the same ids for every text, whatever their folder. */
  readonly fingerprint: string;
  /** One more than the largest token id. The model's own vocabulary may be larger (padded), never smaller. */
  readonly vocabularySize: number;
  /** Token ids of a text. Special tokens written out in the text, such as `<|endoftext|>`, become their one token. */
  encode(text: string): number[];
  /** Like `encode`, for a text that continues another: without the space that some tokenizers put in front of every text. */
  encodeContinuation(text: string): number[];
  /** The text of token ids; "" for none. Bytes that make no character become U+FFFD. */
  decode(ids: ArrayLike<number>, options?: { skipSpecialTokens?: boolean }): string;
}

/**
 * Loads the tokenizer of a Hugging Face model folder: `tokenizer.json`, and `tokenizer_config.json` and `special_tokens_map.json` if there.
 *
 * @param model The `bos_token_id` and `eos_token_id` of the model's `config.json`, for tokenizers that do not name these tokens.
 * @throws UserError if `tokenizer.json` is missing or broken, or a special token is not in the vocabulary.
 */
export async function loadTokenizer(
  folder: string,
  model: { bosTokenId?: number | undefined; eosTokenIds?: number | readonly number[] | undefined } = {},
): Promise<Tokenizer> {
  const file = join(folder, "tokenizer.json");
  const json = await readObject(file);
  if (json === undefined) {
    const hint = existsSync(join(folder, "tokenizer.model"))
      ? "the folder has a tokenizer.model only: save it again with AutoTokenizer, which writes a tokenizer.json"
      : "a Hugging Face model folder with a fast tokenizer is needed";
    throw new UserError("there is no such file", { file, hint });
  }
  const configFile = join(folder, "tokenizer_config.json");
  const config = (await readObject(configFile)) ?? {};
  const map = (await readObject(join(folder, "special_tokens_map.json"))) ?? {};

  const build = (definition: JsonObject): LibraryTokenizer => {
    try {
      return new HuggingFaceTokenizer(definition, { ...config, clean_up_tokenization_spaces: false });
    } catch (cause) {
      throw new UserError(`is not a tokenizer that can be used: ${messageOf(cause)}`, { file, cause });
    }
  };
  const whole = build(json);
  const continuation = withoutPrefixSpace(json);
  const continuing = continuation === undefined ? whole : build(continuation);

  let vocabularySize = 0;
  for (const id of whole.get_vocab().values()) vocabularySize = Math.max(vocabularySize, id + 1);
  const encodeWith = (tokenizer: LibraryTokenizer, text: string, add_special_tokens = false): number[] => {
    const { ids, tokens } = tokenizer.encode(text, { add_special_tokens });
    const unknown = ids.indexOf(undefined);
    if (unknown < 0) return ids as number[];
    throw new UserError(`has no token for ${quoted(tokens[unknown])}, and no unknown-token either`, { file });
  };

  return {
    file,
    fingerprint: fingerprintOf([json, continuation ?? null, config]),
    vocabularySize,
    ...resolveSpecialTokens({
      files: [
        [configFile, config],
        [join(folder, "special_tokens_map.json"), map],
      ],
      model,
      vocabularySize,
      tokenId: (token) => whole.token_to_id(token),
      encode: (text, withSpecialTokens) => encodeWith(whole, text, withSpecialTokens),
    }),
    encode: (text) => encodeWith(whole, text),
    encodeContinuation: (text) => encodeWith(continuing, text),
    decode(ids, { skipSpecialTokens = false } = {}) {
      const list = Array.from(ids);
      return list.length === 0 ? "" : whole.decode(list, { skip_special_tokens: skipSpecialTokens });
    },
  };
}

/** Identifies what decides on ids: the definition, the library, and the tables of Unicode that its patterns are matched with. */
function fingerprintOf(definition: readonly unknown[]): string {
  const library = createRequire(import.meta.url).resolve("@huggingface/tokenizers");
  const hash = createHash("sha256").update(readFileSync(library)).update(`\n${process.versions.unicode}\n`);
  return hash.update(JSON.stringify(definition)).digest("hex");
}

/** What is used of the library; its own declarations do not resolve under `nodenext`. */
interface LibraryTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: (number | undefined)[]; tokens: string[] };
  decode(ids: number[], options: { skip_special_tokens: boolean }): string;
  token_to_id(token: string): number | undefined;
  get_vocab(): Map<string, number>;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** The object in a JSON file; undefined if there is no such file. */
async function readObject(file: string): Promise<JsonObject | undefined> {
  if (!existsSync(file)) return undefined;
  const value = await readJson(file, { uniqueKeys: false });
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new UserError("must hold a JSON object", { file });
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
