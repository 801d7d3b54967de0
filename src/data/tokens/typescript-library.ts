import { Tokenizer } from "@huggingface/tokenizers";
import { InvalidTokenizer, type JsonObject } from "./definition.ts";
import type { TokenizerLibrary } from "./library.ts";
import { checkSupported } from "./typescript-support.ts";

/** Its lattices and lists grow with a text, and it puts all tokens of a text on the stack. */
const longestText = 50_000;

/** The parts of the library that are used; its own declarations do not resolve under `nodenext`. */
interface LibraryTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: (number | undefined)[] };
  token_to_id(token: string): number | undefined;
}

/**
 * The library without native code, for browsers. Of a tokenizer.json it passes over what it does
 * not know, so that `typescript-support.ts` lists what it does right, and anything else is refused.
 */
export function typescriptLibrary(): TokenizerLibrary {
  return {
    name: "@huggingface/tokenizers",
    async build(definition) {
      checkSupported(definition);
      const tokenizer = construct(withUnicodeSpaces(definition));
      return {
        idsOf: async (tokens) => tokens.map(({ content }) => tokenizer.token_to_id(content)),
        encode: async (texts) => texts.map((text) => encode(tokenizer, text)),
      };
    },
  };
}

function construct(definition: JsonObject): LibraryTokenizer {
  try {
    return new Tokenizer(definition, { clean_up_tokenization_spaces: false });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidTokenizer(undefined, `is not a tokenizer that can be used: ${reason}`);
  }
}

function encode(tokenizer: LibraryTokenizer, text: string): Int32Array {
  if (text.length > longestText) {
    const problem = `a text has ${text.length} characters; up to ${longestText} can be tokenized in a browser`;
    throw new InvalidTokenizer(undefined, problem, "divide it");
  }
  // Half of a surrogate pair is no character; UTF-8 has U+FFFD in its place.
  const wellFormed = new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text));
  const { ids } = tokenizer.encode(wellFormed, { add_special_tokens: false });
  if (ids.includes(undefined))
    throw new InvalidTokenizer("model", "has neither a token for a text nor an unknown-token");
  return Int32Array.from(ids as number[]);
}

const gpt2Words = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * The library's own form of GPT-2's pattern takes JavaScript's notion of a space; given as a Split,
 * it takes Unicode's.
 */
function withUnicodeSpaces(definition: JsonObject): JsonObject {
  const words = { type: "Split", pattern: { Regex: gpt2Words }, behavior: "Isolated", invert: false };
  const step = (settings: JsonObject): JsonObject[] =>
    settings.type === "ByteLevel" && settings.use_regex !== false
      ? [words, { ...settings, use_regex: false }]
      : [settings];
  const pre = definition.pre_tokenizer as JsonObject | null;
  if (!pre) return definition;
  const steps = pre.type === "Sequence" ? (pre.pretokenizers as JsonObject[]) : [pre];
  return { ...definition, pre_tokenizer: { type: "Sequence", pretokenizers: steps.flatMap(step) } };
}
