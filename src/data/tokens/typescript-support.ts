/**
 * The features in which the tokenizer library for browsers equals Hugging Face's: the parts of a
 * tokenizer.json and their options. The golden tokenizers of the tests hold it to that; anything
 * else is refused by name.
 */
import { quoted } from "../../one-line.ts";
import { addedTokensOf, InvalidTokenizer, type JsonObject, listOf, objectOf } from "./definition.ts";
import { mayRunAway } from "./runaway-pattern.ts";

type Check = (value: unknown) => boolean;

const anything: Check = () => true;
const text: Check = (value) => typeof value === "string";
const oneOf =
  (...values: unknown[]): Check =>
  (value) =>
    values.includes(value);
const absent = oneOf(null, undefined, "");
/** Replaced text in which `$` means what was found. */
const literal: Check = (value) => typeof value === "string" && !value.includes("$");

/**
 * A text or a regular expression; what a group of it has found is not to come out beside what is
 * split.
 */
const pattern: Check = (value) => {
  const { String: fixed, Regex: expression, ...rest } = value as JsonObject;
  if (Object.keys(rest).length > 0) return false;
  if (expression === undefined) return typeof fixed === "string";
  return typeof expression === "string" && !/(?<!\\)\((?!\?)/.test(expression) && !mayRunAway(expression);
};

type Parts = Readonly<Record<string, Readonly<Record<string, Check>>>>;

const normalizers: Parts = {
  NFC: {},
  NFD: {},
  NFKC: {},
  NFKD: {},
  Prepend: { prepend: text },
  Replace: { pattern, content: literal },
  StripAccents: {},
};

const preTokenizers: Parts = {
  ByteLevel: { add_prefix_space: oneOf(false), trim_offsets: anything, use_regex: oneOf(true, false, undefined) },
  Metaspace: {
    replacement: text,
    prepend_scheme: oneOf("always", "first", "never", undefined),
    split: anything,
    add_prefix_space: anything,
  },
  Split: { pattern, behavior: oneOf("Isolated", "Removed"), invert: oneOf(true, false) },
};

const models: Parts = {
  BPE: {
    vocab: anything,
    merges: anything,
    dropout: absent,
    unk_token: (value) => value === null || text(value),
    continuing_subword_prefix: absent,
    end_of_word_suffix: absent,
    fuse_unk: oneOf(true, false),
    byte_fallback: oneOf(true, false),
    ignore_merges: oneOf(true, false),
  },
  Unigram: { vocab: anything, unk_id: Number.isInteger, byte_fallback: oneOf(false, undefined) },
};

/** @throws InvalidTokenizer naming the first part that browsers cannot do. */
export function checkSupported(definition: JsonObject): void {
  const normalizing = steps(definition.normalizer, "normalizer", "normalizers");
  const splitting = steps(definition.pre_tokenizer, "pre_tokenizer", "pretokenizers");
  for (const [field, step] of normalizing) checkPart(normalizers, step, field);
  for (const [field, step] of splitting) checkPart(preTokenizers, step, field);
  const model = objectOf(definition.model, "model");
  checkPart(models, model, "model");
  const types = splitting.map(([, { type }]) => type);
  for (const [field, { type, behavior, invert }] of splitting) {
    if (type === "Split" && behavior === "Isolated" && invert === true) unsupported(`${field}.invert`, invert);
  }
  const metaspace = splitting.find(([, { type }]) => type === "Metaspace");
  if (metaspace) {
    if (splitting.length > 1) unsupported("pre_tokenizer", types.join(", "));
    checkMetaspace(metaspace[1], model);
  }
  // What is unknown is joined across the words that a pre-tokenizer makes.
  const joins = model.type === "Unigram" || model.fuse_unk === true;
  if (joins && splitting.length > 0 && !metaspace) unsupported("pre_tokenizer", types.join(", "));
  if (model.byte_fallback === true) checkBytes(model);
  checkAddedTokens(definition, normalizing.length > 0);
}

/** The steps of a part: of a sequence, or the one that it is. */
function steps(part: unknown, field: string, list: string): [field: string, step: JsonObject][] {
  if (part === null || part === undefined) return [];
  const settings = objectOf(part, field);
  if (settings.type !== "Sequence") return [[field, settings]];
  return listOf(settings[list], `${field}.${list}`).flatMap((each, index) =>
    steps(each, `${field}.${list}.${index}`, list),
  );
}

function checkPart(parts: Parts, { type, ...options }: JsonObject, field: string): void {
  const known = typeof type === "string" && Object.hasOwn(parts, type) ? parts[type] : undefined;
  if (!known) unsupported(field, type);
  for (const [name, check] of Object.entries(known)) if (!(name in options) && !check(undefined)) missing(field, name);
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(known, name) ? known[name] : absent;
    if (!check!(value)) unsupported(`${field}.${name}`, value);
  }
}

/** Options that an older tokenizer.json leaves out have defaults that suit. */
function missing(field: string, name: string): void {
  const optional = [
    "trim_offsets",
    "unk_token",
    "fuse_unk",
    "byte_fallback",
    "ignore_merges",
    "split",
    "add_prefix_space",
  ];
  if (!optional.includes(name)) throw new InvalidTokenizer(`${field}.${name}`, "is missing");
}

/**
 * The library does not cut at the marks of words. That makes no difference where no token goes on
 * behind one.
 */
function checkMetaspace({ replacement, split }: JsonObject, { vocab }: JsonObject): void {
  if (split === false) return;
  const mark = String(replacement);
  const tokens = Array.isArray(vocab) ? vocab.map(([token]: [string]) => token) : Object.keys(vocab as object);
  const crossing = tokens.find((token) => token.indexOf(mark, 1) > 0);
  if (crossing !== undefined) unsupported("pre_tokenizer.split", `true with the token ${crossing}`);
  if (!tokens.includes(mark)) unsupported("pre_tokenizer.split", `true without the token ${mark}`);
}

function checkBytes({ vocab }: JsonObject): void {
  for (let byte = 0; byte < 256; byte++) {
    const token = `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
    if (!Object.hasOwn(vocab as object, token)) unsupported("model.byte_fallback", `true without the token ${token}`);
  }
}

function checkAddedTokens(definition: JsonObject, normalizes: boolean): void {
  for (const [index, token] of addedTokensOf(definition).entries()) {
    for (const option of ["single_word", "lstrip", "rstrip"] as const)
      if (token[option]) unsupported(`added_tokens.${index}.${option}`, true);
    if (token.normalized && normalizes) unsupported(`added_tokens.${index}.normalized`, true);
  }
}

function unsupported(field: string, value: unknown): never {
  const hint = "in Node every tokenizer.json is supported";
  throw new InvalidTokenizer(field, `${quoted(value)} is not supported in browsers`, hint);
}
