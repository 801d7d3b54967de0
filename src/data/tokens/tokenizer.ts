import { UserError } from "../../errors.ts";
import { quoted } from "../../one-line.ts";
import type { TemplateSources } from "./chat-template.ts";
import { createDecoder } from "./decoder.ts";
import { addedTokensOf, InvalidTokenizer, type JsonObject, vocabularyOf } from "./definition.ts";
import { leadingTokens } from "./leading-tokens.ts";
import type { Encoder, TokenizerLibrary } from "./library.ts";
import { withoutSpecialTokens } from "./plain-special-tokens.ts";
import { withoutPrefixSpace } from "./prefix-space.ts";
import {
  bosWarning,
  type JsonFile,
  type ModelTokens,
  resolveSpecialTokens,
  type SpecialTokens,
} from "./special-tokens.ts";
import { withTokensBeside } from "./tokens-beside.ts";

/** A text to tokenize. */
export interface TextRequest {
  readonly text: string;
  /**
   * True if it continues another text. It then gets no space in front, which some tokenizers give
   * every text.
   */
  readonly continues: boolean;
}

/**
 * Texts to token ids and back. Nothing here adds BOS or EOS: that is the business of
 * `boundaries.ts` alone.
 */
export interface Tokenizer extends SpecialTokens {
  /** The file it came from, for error messages. */
  readonly file: string;
  /** The same for tokenizers that give the same ids for every text, whatever their folder. */
  readonly fingerprint: string;
  /**
   * One more than the largest token id. The model's own vocabulary may be larger (padded), never
   * smaller.
   */
  readonly vocabularySize: number;
  /**
   * Special tokens by id, the unknown-token not among them: written out in a text, they become one
   * token.
   */
  readonly specialTokens: ReadonlyMap<number, string>;
  /** The model's chat templates, and the variables that they all have. */
  readonly chat?: ChatTemplates | undefined;
  /** Settings of its files that have no effect. */
  readonly warnings: readonly string[];
  /** Token ids of texts, in their order. Many at once are faster than one after the other. */
  encode(texts: readonly TextRequest[]): Promise<Int32Array[]>;
  /** The text of token ids; "" for none. Bytes that make no character become U+FFFD. */
  decode(ids: ArrayLike<number>, options?: { skipSpecialTokens?: boolean }): string;
  /**
   * The same tokenizer for texts in which special tokens are no tokens, but the characters they are
   * written with.
   */
  readingSpecialTokensAsText(): Promise<Tokenizer>;
}

export interface ChatTemplates {
  /** Empty for a model without one. */
  readonly sources: TemplateSources;
  /** `bos_token`, `eos_token` and the like. */
  readonly variables: Readonly<Record<string, string>>;
}

/** The files of a tokenizer; those that are not there are empty. */
export interface TokenizerFiles {
  readonly definition: JsonFile;
  readonly config: JsonFile;
  readonly map: JsonFile;
  readonly added: JsonFile;
}

/**
 * Makes the tokenizer of a model's files.
 *
 * @param model The tokens that the model's other files name.
 * @throws UserError for files that are broken, or that ask for what the library does not do.
 */
export async function createTokenizer(
  { definition: [file, given], config, map, added }: TokenizerFiles,
  model: ModelTokens,
  library: TokenizerLibrary,
): Promise<Tokenizer> {
  return naming(file, async () => {
    const { definition, warnings } = withTokensBeside(given, { config, added, map });
    const vocabulary = vocabularyOf(definition);
    let vocabularySize = 0;
    for (const id of vocabulary.values()) vocabularySize = Math.max(vocabularySize, id + 1);
    const leading = leadingTokens(definition.post_processor);
    const sources = {
      files: [config, map] as [JsonFile, JsonFile],
      tokenizerFile: file,
      ...{ model, vocabulary, vocabularySize, leading },
    };
    const bos = bosWarning(sources);
    const dropout = withoutDropout(definition);
    if (dropout) warnings.push(`${file}: model.dropout has no effect: a text always gets the same tokens`);
    const common = {
      file,
      vocabularySize,
      warnings: bos === undefined ? warnings : [bos, ...warnings],
      ...resolveSpecialTokens(sources),
      decode: decoderOf(definition, vocabulary),
    };
    return withEncoders(dropout ?? definition, common, library);
  });
}

type Common = Omit<Tokenizer, "fingerprint" | "specialTokens" | "encode" | "readingSpecialTokensAsText">;

/** Adds what depends on how texts are read. */
async function withEncoders(definition: JsonObject, common: Common, library: TokenizerLibrary): Promise<Tokenizer> {
  const { file } = common;
  const continuation = withoutPrefixSpace(definition);
  const whole = await build(definition, library);
  const continuing = continuation === undefined ? whole : await build(continuation, library);
  const special = addedTokensOf(definition).filter((token) => token.special && !isUnknown(definition, token));
  const tokenizer: Tokenizer = {
    ...common,
    fingerprint: await fingerprintOf([library.name, essentials(definition), continuation && essentials(continuation)]),
    specialTokens: new Map(special.map(({ id, content }) => [id, content])),
    encode: (texts) => naming(file, () => encodeBoth(texts, whole, continuing)),
    readingSpecialTokensAsText: () =>
      naming(file, async () => {
        const plain = withoutSpecialTokens(definition);
        return plain ? { ...(await withEncoders(plain, common, library)), specialTokens: new Map() } : tokenizer;
      }),
  };
  return tokenizer;
}

/**
 * The parts of a definition that decide on ids: nothing is cut, filled up or put around, whatever
 * the definition says of it.
 */
function essentials({ added_tokens, normalizer, pre_tokenizer, model }: JsonObject): JsonObject {
  const absent = { truncation: null, padding: null, post_processor: null, decoder: null };
  const own = { normalizer: normalizer ?? null, pre_tokenizer: pre_tokenizer ?? null, model };
  return { version: "1.0", ...absent, added_tokens: added_tokens ?? [], ...own };
}

/** Builds a tokenizer and checks that its added tokens have the ids that the file gives them. */
async function build(definition: JsonObject, library: TokenizerLibrary): Promise<Encoder> {
  const encoder = await library.build(essentials(definition));
  const tokens = addedTokensOf(definition);
  const ids = await encoder.idsOf(tokens);
  for (const [index, { content, id }] of tokens.entries()) {
    if (ids[index] === id) continue;
    const problem = `gives ${quoted(content)} the id ${id}, but libraries would take it for ${ids[index]}`;
    const hint = "an added token has the id of the vocabulary, or the next one that is free";
    throw new InvalidTokenizer("added_tokens", problem, hint);
  }
  return encoder;
}

async function encodeBoth(texts: readonly TextRequest[], whole: Encoder, continuing: Encoder): Promise<Int32Array[]> {
  if (whole === continuing) return whole.encode(texts.map(({ text }) => text));
  const part = async (encoder: Encoder, continues: boolean) =>
    (await encoder.encode(texts.filter((each) => each.continues === continues).map(({ text }) => text))).values();
  const [begun, continued] = [await part(whole, false), await part(continuing, true)];
  return texts.map(({ continues }) => (continues ? continued : begun).next().value!);
}

function decoderOf(definition: JsonObject, vocabulary: ReadonlyMap<string, number>): Tokenizer["decode"] {
  const tokens = new Map<number, string>();
  for (const [token, id] of vocabulary) tokens.set(id, token);
  const special = new Set<number>();
  for (const token of addedTokensOf(definition)) {
    tokens.set(token.id, token.content);
    if (token.special) special.add(token.id);
  }
  const decode = createDecoder(definition.decoder);
  return (ids, { skipSpecialTokens = false } = {}) => {
    const pieces: string[] = [];
    for (let index = 0; index < ids.length; index++) {
      const token = tokens.get(ids[index]!);
      if (token !== undefined && !(skipSpecialTokens && special.has(ids[index]!))) pieces.push(token);
    }
    return pieces.length === 0 ? "" : decode(pieces);
  };
}

/**
 * BPE's dropout splits texts at random, to make a training's data more various; undefined without
 * it.
 */
function withoutDropout(definition: JsonObject): JsonObject | undefined {
  const model = definition.model as JsonObject;
  return typeof model.dropout === "number" && model.dropout > 0
    ? { ...definition, model: { ...model, dropout: null } }
    : undefined;
}

function isUnknown({ model }: JsonObject, { content, id }: { content: string; id: number }): boolean {
  const { unk_token: name, unk_id: unknownId } = model as JsonObject;
  return content === name || id === unknownId;
}

async function fingerprintOf(parts: readonly unknown[]): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  return Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

/**
 * Does work with a definition; what is wrong with it becomes the user's error, with the name of the
 * file.
 */
async function naming<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof InvalidTokenizer)) throw error;
    const { field, message, hint } = error;
    throw new UserError(message, { file, ...(field !== undefined && { field }), ...(hint !== undefined && { hint }) });
  }
}
