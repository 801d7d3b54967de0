import { createHash } from "node:crypto";
import type { TokenCache } from "./token-cache.ts";
import type { TextRequest, Tokenizer } from "./tokenizer.ts";

/** Below so many characters, about half a second of tokenizing, data is not worth a file. */
const defaultLeastCharacters = 750_000;

/**
 * A tokenizer that takes from a cache what it tokenized before, by earlier runs too.
 *
 * What is remembered are the ids that the tokenizer itself gives for a text, before anything is
 * added or cut. All that depends on settings is done anew, so that examples, counts and errors are
 * the same with and without a cache, and runs with other limits share it. Texts are remembered by
 * columns: of pairs that are swapped for a contrastive model, or trained on one answer only, each
 * column is found again.
 */
export class RememberedTokens {
  /**
   * Gives the same tokens as the tokenizer that was given, those of expected texts without doing
   * the work twice.
   */
  readonly tokenizer: Tokenizer;
  readonly #cache: TokenCache | undefined;
  readonly #leastCharacters: number;
  /** Ids of expected texts, undefined until they are asked for. */
  readonly #whole = new Map<string, Int32Array | undefined>();
  readonly #continuing = new Map<string, Int32Array | undefined>();
  /** Columns that the cache does not have. */
  readonly #missing = new Map<string, readonly TextRequest[]>();

  /** @param cache where to look; undefined to remember nothing */
  constructor(
    tokenizer: Tokenizer,
    cache: TokenCache | undefined,
    { leastCharacters = defaultLeastCharacters }: { leastCharacters?: number } = {},
  ) {
    this.#cache = cache;
    this.#leastCharacters = leastCharacters;
    this.tokenizer = { ...tokenizer, encode: (texts) => this.#encode(texts, tokenizer) };
  }

  /**
   * Says which texts will be tokenized, by columns, and looks for them in the cache. Small data is
   * tokenized as it comes.
   */
  async expect(columns: readonly (readonly TextRequest[])[]): Promise<void> {
    if (!this.#cache) return;
    const characters = columns.flat().reduce((sum, { text }) => sum + text.length, 0);
    if (characters < this.#leastCharacters) return;
    for (const column of columns) {
      const requests = withoutRepeats(column);
      const key = columnKey(this.tokenizer.fingerprint, requests);
      const lists = await this.#cache.read(key, requests.length);
      for (const [index, request] of requests.entries()) {
        const known = this.#idsOf(request);
        known.set(request.text, lists?.[index] ?? known.get(request.text));
      }
      if (!lists) this.#missing.set(key, requests);
    }
  }

  /**
   * Puts into the cache the columns that it did not have and that have been tokenized whole since.
   */
  async keep(): Promise<void> {
    for (const [key, requests] of this.#missing) {
      const lists = requests
        .map((request) => this.#idsOf(request).get(request.text))
        .filter((ids) => ids !== undefined);
      if (lists.length === requests.length) await this.#cache?.write(key, lists);
    }
    this.#missing.clear();
  }

  async #encode(texts: readonly TextRequest[], tokenizer: Tokenizer): Promise<Int32Array[]> {
    const known = texts.map((request) => this.#idsOf(request).get(request.text));
    const rest = texts.filter((_, index) => known[index] === undefined);
    const encoded = rest.length === 0 ? [] : await tokenizer.encode(rest);
    for (const [index, request] of rest.entries()) {
      const ids = this.#idsOf(request);
      if (ids.has(request.text)) ids.set(request.text, encoded[index]);
    }
    const fresh = encoded.values();
    return known.map((ids) => ids ?? fresh.next().value!);
  }

  #idsOf({ continues }: TextRequest): Map<string, Int32Array | undefined> {
    return continues ? this.#continuing : this.#whole;
  }
}

function withoutRepeats(column: readonly TextRequest[]): TextRequest[] {
  const [whole, continuing] = [new Set<string>(), new Set<string>()];
  return column.filter(({ text, continues }) => {
    const seen = continues ? continuing : whole;
    return !seen.has(text) && seen.add(text);
  });
}

/** Identifies tokens by all that they depend on: the tokenizer and the texts in their order. */
function columnKey(tokenizer: string, requests: readonly TextRequest[]): string {
  const hash = createHash("sha256").update(`tokenwise column 1\n${tokenizer}\n`);
  for (const { text, continues } of requests) {
    // UTF-16 as it is: no two texts become the same bytes.
    hash.update(`${continues ? "continues" : "begins"} ${text.length}\n`).update(text, "utf16le");
  }
  return hash.digest("hex");
}
