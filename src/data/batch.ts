import type { TokenizedExample } from "./tokenize.ts";

/** One example in the flat token array: `prompt | response | response`, the prompt once. */
export interface PackedRow {
  /** Index of its first token in the flat array. */
  readonly start: number;
  readonly promptLength: number;
  readonly responseLengths: readonly number[];
  /** The example that it was packed from; undefined for a prompt alone. */
  readonly example: TokenizedExample | undefined;
  /** Tokens in all. */
  readonly length: number;
}

/**
 * A token whose probability counts: token `index` of response `response` of row `row` is `label`,
 * predicted from the hidden state at `source` in the flat array. The last prompt token is the
 * source of the first token of every response of its row.
 */
export interface ScoredEntry {
  readonly source: number;
  readonly label: number;
  readonly row: number;
  readonly response: number;
  readonly index: number;
}

/** Examples laid out for the model: flat arrays over all tokens, without padding. */
export interface PackedBatch {
  readonly tokens: Int32Array;
  /** Rotary position of each token; every response continues from its prompt's length. */
  readonly positions: Int32Array;
  readonly rows: readonly PackedRow[];
  /** Entries in order of row, response, index. */
  readonly entries: readonly ScoredEntry[];
}

/** Packs examples into one flat batch. */
export function packBatch(examples: readonly TokenizedExample[]): PackedBatch {
  const total = examples.reduce((sum, example) => sum + exampleLength(example), 0);
  const tokens = new Int32Array(total);
  const positions = new Int32Array(total);
  const entries: ScoredEntry[] = [];
  let start = 0;
  const rows = examples.map((example, row): PackedRow => {
    const { prompt, responses } = example;
    tokens.set(prompt, start);
    for (let index = 0; index < prompt.length; index++) positions[start + index] = index;
    let end = start + prompt.length;
    responses.forEach((response, side) => {
      tokens.set(response, end);
      response.forEach((label, index) => {
        positions[end + index] = prompt.length + index;
        const source = index === 0 ? start + prompt.length - 1 : end + index - 1;
        entries.push({ source, label, row, response: side, index });
      });
      end += response.length;
    });
    const packed = {
      start,
      promptLength: prompt.length,
      responseLengths: responses.map((r) => r.length),
      example,
      length: end - start,
    };
    start = end;
    return packed;
  });
  return { tokens, positions, rows, entries };
}

/** Tokens that an example takes in a packed batch. */
export function exampleLength({ prompt, responses }: TokenizedExample): number {
  return responses.reduce((sum, response) => sum + response.length, prompt.length);
}

/**
 * The attention mask of a row, [length, length]: 0 where a token sees another, a large negative
 * number elsewhere. A token sees the prompt and its own response, up to itself.
 *
 * @param window the most positions back that a token sees, itself included
 */
export function attentionMask(
  { promptLength, responseLengths, length }: PackedRow,
  window = Number.POSITIVE_INFINITY,
): Float32Array {
  // Finite, so that no engine meets infinity minus infinity.
  const mask = new Float32Array(length * length).fill(-1e30);
  const see = (query: number, from: number, to: number) => mask.fill(0, query * length + from, query * length + to);
  for (let query = 0; query < promptLength; query++) see(query, Math.max(0, query - window + 1), query + 1);
  let start = promptLength;
  for (const responseLength of responseLengths) {
    for (let index = 0; index < responseLength; index++) {
      const first = promptLength + index - window + 1;
      if (first < promptLength) see(start + index, Math.max(0, first), promptLength);
      see(start + index, start + Math.max(0, index - window + 1), start + index + 1);
    }
    start += responseLength;
  }
  return mask;
}
