/**
 * Tokens to text, as the `decoder` of a tokenizer.json says. It runs at every token of an answer,
 * so it is here and does not go through the tokenizer library; it does what Hugging Face's
 * tokenizers does.
 */
import { quoted } from "../../one-line.ts";
import { byteOfSymbol } from "./byte-symbols.ts";
import { InvalidTokenizer, type JsonObject, listOf, objectOf } from "./definition.ts";

/** Changes the pieces of a text; those of the last step are joined. */
type Step = (pieces: readonly string[]) => string[];

/**
 * The function from tokens to their text.
 *
 * @param decoder of a tokenizer.json; without one, tokens are joined by spaces
 * @throws InvalidTokenizer for a decoder that is not known.
 */
export function createDecoder(decoder: unknown): (tokens: readonly string[]) => string {
  if (decoder === undefined || decoder === null) return (tokens) => tokens.join(" ");
  const step = createStep(objectOf(decoder, "decoder"), "decoder");
  return (tokens) => step(tokens).join("");
}

function createStep(settings: JsonObject, field: string): Step {
  switch (settings.type) {
    case "ByteLevel":
      return byteLevel;
    case "ByteFallback":
      return byteFallback;
    case "Fuse":
      return (pieces) => [pieces.join("")];
    case "Metaspace":
      return metaspace(settings);
    case "Replace":
      return replace(settings, field);
    case "Strip":
      return strip(settings, field);
    case "WordPiece":
      return wordPiece(settings);
    case "BPEDecoder":
      return wordEnds(settings);
    case "Sequence": {
      const steps = listOf(settings.decoders, `${field}.decoders`).map((each, index) =>
        createStep(objectOf(each, `${field}.decoders.${index}`), `${field}.decoders.${index}`),
      );
      return (pieces) => steps.reduce<string[]>((list, step) => step(list), [...pieces]);
    }
    default:
      throw new InvalidTokenizer(field, `the decoder ${quoted(settings.type)} is not known`);
  }
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const strictUtf8 = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
const encoder = new TextEncoder();

/** Each character stands for a byte; a token with any other character stands for itself. */
const byteLevel: Step = (pieces) => {
  const bytes: number[] = [];
  for (const piece of pieces) {
    const own = Array.from(piece, (character) => byteOfSymbol.get(character));
    for (const byte of own.includes(undefined) ? encoder.encode(piece) : own) bytes.push(byte!);
  }
  return [utf8.decode(Uint8Array.from(bytes))];
};

/** Tokens such as `<0xE2>` are bytes. Where a run of them is no text, each becomes U+FFFD. */
const byteFallback: Step = (pieces) => {
  const text: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length === 0) return;
    try {
      text.push(strictUtf8.decode(Uint8Array.from(bytes)));
    } catch {
      for (const _ of bytes) text.push("\uFFFD");
    }
    bytes = [];
  };
  for (const piece of pieces) {
    const [, hex] = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece) ?? [];
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else {
      flush();
      text.push(piece);
    }
  }
  flush();
  return text;
};

/**
 * The mark of a word's beginning is a space; in front of the text it stands for nothing where it
 * was put there.
 */
function metaspace({ replacement = "▁", prepend_scheme: scheme, add_prefix_space: added = true }: JsonObject): Step {
  const adds = scheme === undefined ? added === true : scheme !== "never";
  return (pieces) =>
    pieces.map((piece, index) => piece.replaceAll(String(replacement), index === 0 && adds ? "" : " "));
}

/**
 * Only fixed texts: a pattern could run away in the middle of an answer, and no tokenizer is known
 * to have one.
 */
function replace({ pattern, content }: JsonObject, field: string): Step {
  const { String: from } = objectOf(pattern, `${field}.pattern`);
  if (typeof from !== "string" || typeof content !== "string" || from === "")
    throw new InvalidTokenizer(field, "only { String } is supported as the pattern of a decoder");
  return (pieces) => pieces.map((piece) => piece.replaceAll(from, () => content));
}

function strip({ content, start = 0, stop = 0 }: JsonObject, field: string): Step {
  if (typeof content !== "string" || !Number.isInteger(start) || !Number.isInteger(stop))
    throw new InvalidTokenizer(field, "must have a `content` and whole numbers `start` and `stop`");
  return (pieces) =>
    pieces.map((piece) => {
      const characters = [...piece];
      let first = 0;
      while (first < (start as number) && characters[first] === content) first++;
      let end = characters.length;
      while (characters.length - end < (stop as number) && end > first && characters[end - 1] === content) end--;
      return characters.slice(first, end).join("");
    });
}

function wordPiece({ prefix = "##", cleanup = true }: JsonObject): Step {
  return (pieces) =>
    pieces.map((piece, index) => {
      const joins = index > 0 && piece.startsWith(String(prefix));
      const spaced = index === 0 ? piece : joins ? piece.slice(String(prefix).length) : ` ${piece}`;
      return cleanup ? withoutSpaces(spaced) : spaced;
    });
}

/** Spaces that BERT's tokenizers put in front of punctuation and of the ends of contractions. */
function withoutSpaces(piece: string): string {
  const pairs = [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " do not", " 's", " 've", " 're"] as const;
  return pairs.reduce((text, from) => text.replaceAll(from, from === " do not" ? " don't" : from.trim()), piece);
}

/** A suffix ends a word: it is a space, and nothing at the end of the text. */
function wordEnds({ suffix = "</w>" }: JsonObject): Step {
  return (pieces) =>
    pieces.map((piece, index) => piece.replaceAll(String(suffix), index === pieces.length - 1 ? "" : " "));
}
