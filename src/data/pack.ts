import { startToken } from "./tokens/boundaries.ts";
import type { Tokenizer } from "./tokens/tokenizer.ts";

/**
 * Joins texts into one stream of tokens and divides it into windows.
 *
 * The stream is start, text, EOS, text, EOS, …; where the tokenizer adds BOS, each text has its own. A window has exactly `maxLength` tokens,
 * the last one perhaps fewer, and its first token is context only. It is also the last token of the window before, so that every token of
 * the stream but the first is learnt exactly once and nothing is left over.
 *
 * @param documents Token ids that begin with the start token and end with EOS, as `encodeText` gives them.
 */
export function* packWindows(
  documents: Iterable<{ readonly ids: readonly number[] }>,
  maxLength: number,
  tokenizer: Tokenizer,
): Generator<number[]> {
  const start = startToken(tokenizer);
  let window: number[] = [start];
  for (const { ids } of documents) {
    const repeatsStart = !tokenizer.addsBos || window.at(-1) === start;
    for (let index = repeatsStart ? 1 : 0; index < ids.length; index++) {
      window.push(ids[index]!);
      if (window.length === maxLength) {
        yield window;
        window = [window.at(-1)!];
      }
    }
  }
  if (window.length >= 2) yield window;
}
