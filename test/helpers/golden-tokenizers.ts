/**
 * Small tokenizers of many kinds, and what Hugging Face's Python library makes of 2,000 lines with
 * them.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { JsonObject } from "../../src/data/tokens/definition.ts";
import type { TokenizerLibrary } from "../../src/data/tokens/library.ts";
import { createTokenizer, type Tokenizer } from "../../src/data/tokens/tokenizer.ts";

interface Golden {
  /** Three hexadecimal digits of the SHA-256 of each text's ids. */
  readonly ids: string;
  /** Six of what each ten texts decode to. */
  readonly texts: string;
  /** Some in full. */
  readonly some: Readonly<Record<string, { readonly ids: readonly number[]; readonly text: string }>>;
}

export const golden = read("golden") as Readonly<Record<string, Golden>>;
export const goldenTexts = read("texts") as readonly string[];

export function goldenDefinition(kind: string): JsonObject {
  return read(kind) as JsonObject;
}

function read(name: string): unknown {
  const file = new URL(`../golden/tokenizers/${name}.json.gz`, import.meta.url);
  return JSON.parse(gunzipSync(readFileSync(file)).toString("utf8"));
}

/** The tokenizer of a definition alone, without files beside it. */
export function tokenizerOf(definition: JsonObject, library: TokenizerLibrary): Promise<Tokenizer> {
  const files = {
    definition: ["tokenizer.json", definition],
    config: ["tokenizer_config.json", {}],
    map: ["special_tokens_map.json", {}],
    added: ["added_tokens.json", {}],
  } as const;
  return createTokenizer(files, {}, library);
}

/**
 * Where a library's ids, or the texts that they decode to, differ from Python's: numbers of texts,
 * at most a few.
 */
export async function differences(kind: string, library: TokenizerLibrary) {
  const tokenizer = await tokenizerOf(goldenDefinition(kind), library);
  const expected = golden[kind]!;
  const ids = await tokenizer.encode(goldenTexts.map((text) => ({ text, continues: false })));
  const texts = ids.map((list) => tokenizer.decode(list));
  const blocks = Array.from({ length: Math.ceil(texts.length / 10) }, (_, block) => block);
  return {
    ids: few(ids.keys(), (index) => hash(ids[index]!.join(), 3) !== expected.ids.slice(3 * index, 3 * index + 3)),
    texts: few(blocks, (block) => {
      const joined = texts.slice(10 * block, 10 * block + 10).join("\n");
      return hash(joined, 6) !== expected.texts.slice(6 * block, 6 * block + 6);
    }),
    some: Object.keys(expected.some).map((index) => ({ ids: [...ids[Number(index)]!], text: texts[Number(index)] })),
  };
}

function few(numbers: Iterable<number>, differs: (index: number) => boolean): number[] {
  return [...numbers].filter(differs).slice(0, 8);
}

function hash(text: string, digits: number): string {
  return createHash("sha256").update(text).digest("hex").slice(0, digits);
}
