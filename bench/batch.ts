import { readFileSync, writeFileSync } from "node:fs";
import type { TokenizedExample } from "../src/data/example.ts";
import { readPairs } from "../src/data/forms/pairs.ts";
import { tokenizePairs } from "../src/data/tokenize.ts";
import { loadTokenizer } from "../src/data/tokens/load-tokenizer.ts";
import { Random } from "../src/random.ts";

/** A pair in a batch's JSON file `{ pairs: [{ prompt, chosen, rejected }] }`. */
type BatchPair = Record<"prompt" | "chosen" | "rejected", number[]>;

/** Reads a JSON file `{ pairs: [{ prompt, chosen, rejected }] }` of token ids. */
export function readBatch(file: string): TokenizedExample[] {
  const { pairs } = JSON.parse(readFileSync(file, "utf8")) as { pairs: BatchPair[] };
  return pairs.map(({ prompt, chosen, rejected }) => ({
    prompt: Int32Array.from(prompt),
    responses: [Int32Array.from(chosen), Int32Array.from(rejected)],
    cut: { prompt: 0, responses: [0, 0] },
    place: undefined,
  }));
}

/**
 * Writes the first `count` pairs of a data file as a batch, with the tokenizer of a model folder.
 */
export async function writeTextBatch(file: string, data: string, tokenizerFolder: string, count: number) {
  const { pairs } = await readPairs(data);
  const { examples } = await tokenizePairs(pairs.slice(0, count), await loadTokenizer(tokenizerFolder));
  writeBatch(
    file,
    examples.map(({ prompt, responses: [chosen, rejected] }) => ({
      prompt: [...prompt],
      chosen: [...chosen!],
      rejected: [...rejected!],
    })),
  );
}

/** Lengths of a pair in tokens. */
export type PairLengths = readonly [prompt: number, chosen: number, rejected: number];

/** Lengths of pairs, each part `length` tokens, half more or less. */
export function randomLengths(pairs: number, length: number): PairLengths[] {
  const random = Random.from(0, "bench lengths");
  const one = () => Math.ceil(length / 2) + random.integer(length);
  return Array.from({ length: pairs }, () => [one(), one(), one()] as const);
}

/** Writes pairs of random token ids with these lengths. */
export function writeRandomBatch(file: string, lengths: readonly PairLengths[], vocabularySize: number): void {
  const random = Random.from(0, "bench batch");
  const tokens = (length: number) => Array.from({ length }, () => random.integer(vocabularySize));
  writeBatch(
    file,
    lengths.map(([prompt, chosen, rejected]) => ({
      prompt: tokens(prompt),
      chosen: tokens(chosen),
      rejected: tokens(rejected),
    })),
  );
}

/** Writes the pairs of another batch with their token ids modulo a vocabulary. */
export function writeBatchModulo(file: string, given: string, vocabularySize: number): void {
  const inside = (tokens: Int32Array) => Array.from(tokens, (id) => id % vocabularySize);
  writeBatch(
    file,
    readBatch(given).map(({ prompt, responses: [chosen, rejected] }) => ({
      prompt: inside(prompt),
      chosen: inside(chosen!),
      rejected: inside(rejected!),
    })),
  );
}

function writeBatch(file: string, pairs: readonly BatchPair[]): void {
  writeFileSync(file, JSON.stringify({ pairs }));
}
