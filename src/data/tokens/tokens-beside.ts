import { UserError } from "../../errors.ts";
import { quoted } from "../../one-line.ts";
import {
  type AddedToken,
  addedToken,
  addedTokensOf,
  InvalidTokenizer,
  type JsonObject,
  objectOf,
  vocabularyOf,
} from "./definition.ts";
import type { JsonFile } from "./special-tokens.ts";

interface FilesBeside {
  /** `tokenizer_config.json`, whose `added_tokens_decoder` lists tokens by id. */
  readonly config: JsonFile;
  /** `added_tokens.json`: `{ "<|end|>": 32000 }`. */
  readonly added: JsonFile;
  /** `special_tokens_map.json`. */
  readonly map: JsonFile;
}

/**
 * The definition with the tokens that only files beside tokenizer.json list; transformers adds them
 * when it loads a folder. Where a file gives a token another id than tokenizer.json, tokenizer.json
 * holds, and a warning says so.
 */
export function withTokensBeside(
  definition: JsonObject,
  files: FilesBeside,
): { definition: JsonObject; warnings: string[] } {
  const known = vocabularyOf(definition);
  const own = new Set(addedTokensOf(definition).map(({ content }) => content));
  const found: AddedToken[] = [];
  const warnings: string[] = [];
  for (const [file, token] of tokensBeside(files)) {
    const id = known.get(token.content);
    if (id !== undefined && id !== token.id) {
      const held = `in tokenizer.json it is ${id}, which holds`;
      warnings.push(`${file} gives ${quoted(token.content)} the id ${token.id}; ${held}`);
    }
    if (own.has(token.content)) continue;
    own.add(token.content);
    known.set(token.content, id ?? token.id);
    found.push({ ...token, id: id ?? token.id });
  }
  if (found.length === 0) return { definition, warnings };
  // The library gives ids in this order.
  found.sort((one, other) => one.id - other.id);
  return { definition: { ...definition, added_tokens: [...addedTokensOf(definition), ...found] }, warnings };
}

function tokensBeside({ config, added, map }: FilesBeside): [file: string, token: AddedToken][] {
  const [configFile, { added_tokens_decoder: listed }] = config;
  const [addedFile, ids] = added;
  const special = new Set([...namesIn(config[1]), ...namesIn(map[1])]);
  return [
    ...inFile(configFile, () =>
      Object.entries(objectOf(listed ?? {}, "added_tokens_decoder")).map(([id, value]) => {
        const field = `added_tokens_decoder.${id}`;
        return addedToken(objectOf(value, field), field, Number(id));
      }),
    ),
    ...inFile(addedFile, () =>
      Object.entries(ids).map(([content, id]) => addedToken({ id, content, special: special.has(content) }, content)),
    ),
  ];
}

function inFile(file: string, read: () => AddedToken[]): [string, AddedToken][] {
  try {
    return read().map((token) => [file, token]);
  } catch (error) {
    if (!(error instanceof InvalidTokenizer)) throw error;
    throw new UserError(error.message, { file, ...(error.field !== undefined && { field: error.field }) });
  }
}

/** The tokens that `bos_token`, `eos_token`, `additional_special_tokens` and the like name. */
function namesIn(content: JsonObject): string[] {
  return Object.entries(content)
    .filter(([key]) => key.endsWith("_token") || key === "additional_special_tokens" || key === "extra_special_tokens")
    .flatMap(([, value]) => (Array.isArray(value) ? value : [value]))
    .map((value) => (typeof value === "object" && value !== null && "content" in value ? value.content : value))
    .filter((value) => typeof value === "string");
}
