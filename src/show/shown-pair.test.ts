import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { loadTokenizer } from "../data/tokens/load-tokenizer.ts";
import { tokenIds } from "../data/tokens/testing/token-ids.ts";
import { type ShownToken, shownPair, weightsOf } from "./shown-pair.ts";

const tokenizer = await loadTokenizer(fileURLToPath(new URL("../../demo/model", import.meta.url)));

function estimate(tokens: readonly number[]) {
  return {
    tokens: Int32Array.from(tokens),
    positiveLogp: Float32Array.from(tokens, (_, index) => -index - 1),
    negativeLogp: Float32Array.from(tokens, (_, index) => -2 * index - 1),
  };
}

/** The tokens of an answer; each weighs as much as its place, from 0. */
function shown(tokens: readonly number[]): readonly ShownToken[] {
  const weights = { chosen: tokens.map((_, index) => index), rejected: [] };
  const pair = { prompt: new Int32Array(), chosen: estimate(tokens), rejected: estimate([]) };
  return shownPair(pair, 1, weights, tokenizer).chosen;
}

const texts = (tokens: readonly ShownToken[]) => tokens.map(({ text }) => text);

test("a pair has its texts and the figures of its tokens", async () => {
  const ids = { prompt: [...(await tokenIds(tokenizer, "This film")), 0], chosen: [40, 41, 0], rejected: [42] };
  const pair = shownPair(
    { prompt: Int32Array.from(ids.prompt), chosen: estimate(ids.chosen), rejected: estimate(ids.rejected) },
    12,
    { chosen: [1, 2, 3], rejected: [4] },
    tokenizer,
  );
  expect(pair).toEqual({
    number: 12,
    prompt: "This film",
    chosen: [
      { text: "H", token: 40, logRatio: 0, weight: 1, positiveLogp: -1, negativeLogp: -1 },
      { text: "I", token: 41, logRatio: 1, weight: 2, positiveLogp: -2, negativeLogp: -3 },
      { text: "<|endoftext|>", token: 0, logRatio: 2, weight: 3, positiveLogp: -3, negativeLogp: -5, end: true },
    ],
    rejected: [{ text: "J", token: 42, logRatio: 0, weight: 4, positiveLogp: -1, negativeLogp: -1 }],
  });
  expect([...weightsOf(pair)]).toEqual([1, 2, 3, 4]);
});

test("tokens that split a character are one, with their mean weight and its whole probability", async () => {
  const tokens = await tokenIds(tokenizer, "a😀b");
  const several = shown(tokens);
  expect(tokens.length).toBeGreaterThan(4);
  expect(texts(several)).toEqual(["a", "😀", "b"]);
  const { parts, ...whole } = several[1]!;
  const places = Array.from({ length: tokens.length - 2 }, (_, index) => index + 1);
  const sum = places.reduce((total, place) => total + place, 0);
  expect(parts?.map(({ token, weight }) => [token, weight])).toEqual(places.map((place) => [tokens[place], place]));
  expect(whole).toEqual({
    text: "😀",
    token: tokens[1],
    weight: sum / places.length,
    logRatio: sum,
    positiveLogp: -sum - places.length,
    negativeLogp: -2 * sum - places.length,
  });
});

test("an answer cut within a character keeps its end token apart", async () => {
  const tokens = [...(await tokenIds(tokenizer, "a😀")).slice(0, -1), tokenizer.eosId!];
  expect(texts(shown(tokens))).toEqual(["a", "\uFFFD", "<|endoftext|>"]);
});

test("all tokens are there, whatever the text", async () => {
  for (const text of ["", "café", "naïve — 中文 👩‍🚀\n\n end", "\u0000\u202e"]) {
    const tokens = await tokenIds(tokenizer, text);
    const all = shown(tokens);
    expect(texts(all).join("")).toBe(text);
    expect(all.flatMap(({ token, parts }) => parts?.map((part) => part.token) ?? [token])).toEqual(tokens);
  }
});

test("weights that are not as many as the tokens are a fault", async () => {
  const pair = { prompt: new Int32Array(), chosen: estimate([40]), rejected: estimate([]) };
  expect(() => shownPair(pair, 1, { chosen: [], rejected: [] }, tokenizer)).toThrow("0 weights for 1 tokens");
});
