import { UserError } from "../../errors.ts";
import { quoted } from "../../one-line.ts";
import type { JsonObject } from "./definition.ts";

/** The tokens that begin and end a text. */
export interface SpecialTokens {
  /** Begin of text; undefined if the model has none. */
  readonly bosId: number | undefined;
  /**
   * End of text, the one that is appended to an answer; undefined if neither the tokenizer nor the
   * model names one.
   */
  readonly eosId: number | undefined;
  /**
   * Every token that ends a text: `eosId` first, then the others that a file of the model lists.
   */
  readonly eosIds: readonly number[];
  /** True if the tokenizer itself begins a text with BOS. */
  readonly addsBos: boolean;
}

/** BOS and EOS by their ids, as a model's config.json and generation_config.json name them. */
export interface ModelTokens {
  readonly bosTokenId?: number | undefined;
  /** Every token that ends an answer, the one to append first. */
  readonly eosTokenIds?: number | readonly number[] | undefined;
}

/** A JSON file by its name for error messages. */
export type JsonFile = readonly [file: string, content: JsonObject];

interface Sources {
  /** `tokenizer_config.json`, then other files that may hold `bos_token` and `eos_token`. */
  readonly files: readonly [JsonFile, ...JsonFile[]];
  readonly tokenizerFile: string;
  readonly model: ModelTokens;
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly vocabularySize: number;
  /** The tokens that the post-processor of tokenizer.json puts in front of a text. */
  readonly leading: readonly number[];
}

/**
 * Finds BOS and EOS. BOS is what the tokenizer puts in front of a text, if it does; else, as EOS,
 * what `tokenizer_config.json` names, else `special_tokens_map.json`, else the model's
 * `config.json`. Whether a text begins with BOS says tokenizer.json alone, as in transformers 5.
 *
 * @throws UserError if a named token is not in the vocabulary.
 */
export function resolveSpecialTokens(sources: Sources): SpecialTokens {
  const { leading, model, tokenizerFile, vocabularySize } = sources;
  if (leading.length > 1) {
    const problem = `the tokenizer puts ${leading.length} tokens in front of a text; only one, BOS, is supported`;
    throw new UserError(problem, { file: tokenizerFile, field: "post_processor" });
  }
  const listed = model.eosTokenIds ?? [];
  const modelEosIds = typeof listed === "number" ? [listed] : listed;
  const eosId = namedToken(sources, "eos_token") ?? inVocabulary("eos_token_id", modelEosIds[0], vocabularySize);
  const bosId =
    leading[0] ?? namedToken(sources, "bos_token") ?? inVocabulary("bos_token_id", model.bosTokenId, vocabularySize);
  return {
    bosId,
    eosId,
    eosIds: [...new Set(eosId === undefined ? [] : [eosId, ...modelEosIds])],
    addsBos: leading.length > 0,
  };
}

/** The warning for a folder in which `add_bos_token` and the post-processor disagree. */
export function bosWarning({ files: [[file, config]], tokenizerFile, leading }: Sources): string | undefined {
  const asked = config.add_bos_token;
  const adds = leading.length > 0;
  if (typeof asked !== "boolean" || asked === adds) return undefined;
  const holds = adds ? "begins texts with BOS" : "begins no text with BOS";
  return `${file} says add_bos_token: ${asked}, but ${tokenizerFile} ${holds}, and that holds, as in transformers 5`;
}

/** The id of a token that one of the files names, as text or as `{ content }`. */
function namedToken({ files, vocabulary }: Sources, field: "bos_token" | "eos_token"): number | undefined {
  for (const [file, content] of files) {
    const value = content[field];
    const token = typeof value === "object" && value !== null && "content" in value ? value.content : value;
    if (token === undefined || token === null) continue;
    if (typeof token !== "string") throw new UserError("must be a text or {content}", { file, field });
    const id = vocabulary.get(token);
    if (id === undefined) throw new UserError(`${quoted(token)} is not in the vocabulary`, { file, field });
    return id;
  }
  return undefined;
}

function inVocabulary(field: string, id: number | undefined, size: number): number | undefined {
  if (id === undefined || (Number.isInteger(id) && id >= 0 && id < size)) return id;
  throw new UserError(`the model's files name ${id}, but the tokenizer has ${size} tokens`, { field });
}
