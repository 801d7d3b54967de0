import { createRequire } from "node:module";
import { InvalidTokenizer } from "./definition.ts";
import type { TokenizerLibrary } from "./library.ts";
import { TokenizerFailure, TokenizerProcess } from "./tokenizer-process.ts";

/**
 * A batch has at most so many characters, unless a single text is longer: the library needs some
 * 100 bytes for each.
 */
const batchCharacters = 500_000;
/** Some 10 s for what takes one: longer than that, only a pattern that runs away takes. */
const millisecondsPerCharacter = 0.02;
const leastMilliseconds = 30_000;
/**
 * More backtracks than the regular expressions' engine allows would end it; the longest novels have
 * 6 million.
 */
const largestText = 8_000_000;

/** One process serves all tokenizers of this one. */
let shared: TokenizerProcess | undefined;

/**
 * Hugging Face's own library, in a process of its own: where it fails, it ends the process that it
 * runs in.
 */
export function rustLibrary(): TokenizerLibrary {
  const { version } = createRequire(import.meta.url)("tokenizers/package.json") as { version: string };
  return {
    name: `tokenizers ${version}`,
    async build(definition) {
      shared ??= new TokenizerProcess();
      const process = shared;
      const text = JSON.stringify(definition);
      const limit = leastMilliseconds + text.length * millisecondsPerCharacter;
      const tokenizer = process.tokenizer(text);
      const ask = async <Result>(request: object, milliseconds: number, failure: string): Promise<Result> => {
        try {
          return await process.ask<Result>(tokenizer, request, milliseconds);
        } catch (error) {
          if (!(error instanceof TokenizerFailure)) throw error;
          // Lines and columns are those of the definition as it was sent.
          throw new InvalidTokenizer(undefined, `${failure}: ${error.message.replace(/ at line 1 column \d+$/, "")}`);
        }
      };
      const refused = "is not a tokenizer that can be used";
      await ask({}, limit, refused);
      return {
        idsOf: (tokens) => ask({ tokens: tokens.map(({ content }) => content) }, limit, refused),
        async encode(texts) {
          const ids: Int32Array[] = [];
          for (const batch of batches(texts)) {
            const characters = batch.reduce((sum, { length }) => sum + length, 0);
            const milliseconds = leastMilliseconds + characters * millisecondsPerCharacter;
            ids.push(...(await ask<Int32Array[]>({ texts: batch }, milliseconds, "cannot tokenize the texts")));
          }
          return ids;
        },
      };
    },
  };
}

function* batches(texts: readonly string[]): Generator<string[]> {
  let batch: string[] = [];
  let characters = 0;
  for (const text of texts) {
    if (text.length > largestText) {
      const problem = `a text has ${text.length} characters; up to ${largestText} can be tokenized at once`;
      throw new InvalidTokenizer(undefined, problem, "divide it");
    }
    if (batch.length > 0 && characters + text.length > batchCharacters) {
      yield batch;
      [batch, characters] = [[], 0];
    }
    batch.push(text);
    characters += text.length;
  }
  if (batch.length > 0) yield batch;
}
