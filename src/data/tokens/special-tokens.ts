import { UserError } from "../../errors.ts";
import { quoted } from "../../one-line.ts";

/** Which tokens begin and end a text. */
export interface SpecialTokens {
  /** Begin of text; undefined if the model has none. */
  readonly bosId: number | undefined;
  /** End of text, the one that is appended to an answer; undefined if neither the tokenizer nor the model names one. */
  readonly eosId: number | undefined;
  /** Every token that ends a text: `eosId` first, then the others that the model's `config.json` lists. */
  readonly eosIds: readonly number[];
  /** Whether the tokenizer itself begins a text with BOS. */
  readonly addsBos: boolean;
}

interface Sources {
  /** Files that may hold `bos_token` and `eos_token`, the more trusted first. */
  readonly files: readonly (readonly [file: string, content: Readonly<Record<string, unknown>>])[];
  readonly model: { bosTokenId?: number | undefined; eosTokenIds?: number | readonly number[] | undefined };
  readonly vocabularySize: number;
  tokenId(token: string): number | undefined;
  encode(text: string, withSpecialTokens: boolean): number[];
}

/**
 * Finds BOS and EOS. BOS is what the tokenizer puts in front of a text, if it does; else, as EOS, what `tokenizer_config.json` names, else
 * `special_tokens_map.json`, else the model's `config.json`. An `add_bos_token` in `tokenizer_config.json` has the last word on `addsBos`.
 *
 * @throws UserError if a named token is not in the vocabulary.
 */
export function resolveSpecialTokens(sources: Sources): SpecialTokens {
  const listed = sources.model.eosTokenIds ?? [];
  const modelEosIds = typeof listed === "number" ? [listed] : listed;
  const eosId = namedToken(sources, "eos_token") ?? modelId(sources, "eos_token_id", modelEosIds[0]);
  const leading = leadingToken(sources);
  const bosId =
    leading ?? namedToken(sources, "bos_token") ?? modelId(sources, "bos_token_id", sources.model.bosTokenId);
  const [configFile, config] = sources.files[0]!;
  const addBosToken = config.add_bos_token;
  const addsBos = typeof addBosToken === "boolean" ? addBosToken : leading !== undefined;
  if (addsBos && bosId === undefined) {
    throw new UserError("is true, but no bos_token is named", { file: configFile, field: "add_bos_token" });
  }
  return { bosId, eosId, eosIds: [...new Set(eosId === undefined ? [] : [eosId, ...modelEosIds])], addsBos };
}

/** The token that the post-processor of the tokenizer puts in front of a text, if any. */
function leadingToken({ encode, files }: Sources): number | undefined {
  const bare = encode("a", false);
  const dressed = encode("a", true);
  const added = dressed.findIndex((_, start) => bare.every((id, index) => dressed[start + index] === id));
  if (added <= 0) return undefined;
  if (added === 1) return dressed[0];
  throw new UserError(`the tokenizer puts ${added} tokens in front of a text; only one, BOS, is supported`, {
    file: files[0]![0],
  });
}

/** The id of a token that one of the files names, as text or as `{ content }`. */
function namedToken({ files, tokenId }: Sources, field: "bos_token" | "eos_token"): number | undefined {
  for (const [file, content] of files) {
    const value = content[field];
    const token = typeof value === "object" && value !== null && "content" in value ? value.content : value;
    if (token === undefined || token === null) continue;
    if (typeof token !== "string") throw new UserError("must be a text or {content}", { file, field });
    const id = tokenId(token);
    if (id === undefined) throw new UserError(`${quoted(token)} is not in the vocabulary`, { file, field });
    return id;
  }
  return undefined;
}

function modelId({ vocabularySize }: Sources, field: string, id: number | undefined): number | undefined {
  if (id === undefined || (Number.isInteger(id) && id >= 0 && id < vocabularySize)) return id;
  throw new UserError(`the model's config.json says ${id}, but the tokenizer has ${vocabularySize} tokens`, { field });
}
