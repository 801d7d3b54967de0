import { describe, expect, test } from "vitest";
import { engines } from "../../test/helpers/engines.ts";
import { logitsOf, sequenceBatch } from "../../test/helpers/logits.ts";
import { sharedFile } from "../../test/helpers/shared-file.ts";
import { loadTokenizer } from "../data/tokens/load-tokenizer.ts";
import { promptIds } from "../data/tokens/testing/token-ids.ts";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import type { Engine } from "../engine/engine.ts";
import { architectureOf, parseConfiguration } from "../families/registry.ts";
import { initializeLanguageModel } from "../models/initialize.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { loadLanguageModel } from "../storage/load-model.ts";
import { defaultGenerateOptions, type GenerateOptions, type Generation, generate } from "./generate.ts";
import { greedy } from "./sampler.ts";
import { byteConfiguration, byteModel, byteTokenizer, endToken } from "./testing/byte-model.ts";

const tokenizer = await byteTokenizer();
/** A letter for each token, so that texts are easy to cut. */
const letters: Tokenizer = {
  ...tokenizer,
  decode: (ids) => Array.from(ids, (id) => String.fromCharCode(97 + (id % 26))).join(""),
};
const encoded = (read: Tokenizer, texts: readonly string[]) =>
  Promise.all(texts.map(async (text) => Int32Array.from(await promptIds(read, text))));
const prompts = await encoded(tokenizer, ["Hello", "", "A rather longer prompt", "Oh no"]);
const exact = engines[0].engine;
const native = engines[1].engine;

async function answersOf(
  engine: Engine,
  options: Partial<GenerateOptions>,
  { model, some = prompts, read = letters }: { model?: LanguageModel; some?: Int32Array[]; read?: Tokenizer } = {},
): Promise<Generation[]> {
  const all: Generation[] = [];
  const full = { ...defaultGenerateOptions, maxNewTokens: 10, ...options };
  for await (const batch of generate(engine, model ?? (await byteModel(engine)), read, some, full)) all.push(...batch);
  return all;
}

/** The likeliest tokens, each from the whole sequence before it. */
async function recompute(engine: Engine, model: LanguageModel, prompt: Int32Array, count: number, vocabulary: number) {
  const tokens = [...prompt];
  while (tokens.length < prompt.length + count) {
    const batch = sequenceBatch(tokens);
    const [logits] = await logitsOf(engine, model, { ...batch, entries: batch.entries.slice(-1) });
    tokens.push(greedy(logits!.slice(0, vocabulary)));
  }
  return tokens.slice(prompt.length);
}

describe.each(engines)("in $precision", ({ engine }) => {
  test("greedy answers are what the whole sequence gives, in batches of any size", async () => {
    const model = await byteModel(engine);
    const expected = [];
    for (const prompt of prompts) expected.push(await recompute(engine, model, prompt, 10, 257));
    for (const batchSize of [1, 3, 4]) {
      const answers = await answersOf(engine, { temperature: 0, samples: 2, batchSize }, { model });
      expect(answers.map(({ prompt, sample }) => `${prompt} ${sample}`)).toEqual(
        prompts.flatMap((_, prompt) => [`${prompt} 0`, `${prompt} 1`]),
      );
      for (const { prompt, tokens } of answers) expect(tokens).toEqual(expected[prompt]);
    }
  });

  test("neighbours that end do not disturb the rest", async () => {
    const whole = await answersOf(engine, { temperature: 0 });
    // The tokens that end answers here, each at another step.
    const ending: Tokenizer = { ...letters, eosIds: [whole[0]!.tokens[2]!, whole[1]!.tokens[5]!] };
    const cut = await answersOf(engine, { temperature: 0 }, { read: ending });
    for (const [index, { tokens, end }] of cut.entries()) {
      const all = whole[index]!.tokens;
      const place = all.findIndex((token) => ending.eosIds.includes(token));
      expect(tokens).toEqual(place < 0 ? all : all.slice(0, place));
      expect(end).toBe(place < 0 ? "length" : "end token");
    }
    expect(new Set(cut.map(({ tokens }) => tokens.length)).size).toBeGreaterThan(1);
  });
});

describe("sampling", () => {
  const options = { samples: 3, seed: 8, topP: 0.95, temperature: 0.8 };

  test("does not depend on the batch, and the rest of a list samples as the whole list does", async () => {
    const model = await byteModel(exact);
    const alone = await answersOf(exact, { ...options, batchSize: 1 }, { model });
    expect(await answersOf(exact, { ...options, batchSize: 4 }, { model })).toEqual(
      alone.map((answer) => ({ ...answer, meanEntropy: expect.closeTo(answer.meanEntropy, 9) })),
    );
    const rest = await answersOf(exact, { ...options, firstPrompt: 2 }, { model, some: prompts.slice(2) });
    expect(rest.map(({ prompt, tokens }) => [prompt, tokens])).toEqual(
      alone.slice(6).map(({ prompt, tokens }) => [prompt, tokens]),
    );
  });

  test("differs by seed, prompt and sample, and repeats", async () => {
    const one = await answersOf(native, options);
    expect(new Set(one.map(({ text }) => text)).size).toBe(12);
    expect(await answersOf(native, options)).toEqual(one);
    expect((await answersOf(native, { ...options, seed: 9 }))[0]!.text).not.toBe(one[0]!.text);
  });

  test("never draws what the tokenizer does not know", async () => {
    const answers = await answersOf(
      native,
      { temperature: 100, samples: 20, maxNewTokens: 20 },
      { some: [prompts[0]!] },
    );
    const tokens = answers.flatMap((answer) => answer.tokens);
    expect(tokens.length).toBeGreaterThan(300);
    expect(Math.max(...tokens)).toBeLessThan(endToken);
  });
});

describe("an answer ends", () => {
  test("before a stop string, though it spans tokens and its beginning was there already", async () => {
    const [whole] = await answersOf(exact, { temperature: 0 });
    const stop = whole!.text.slice(4, 7);
    const place = whole!.text.indexOf(stop);
    const shown: string[] = [];
    const [cut] = await answersOf(exact, {
      temperature: 0,
      stop: ["!", stop],
      onText: ({ prompt, text }) => prompt || shown.push(text),
    });
    expect(cut).toMatchObject({ text: whole!.text.slice(0, place), end: "stop string" });
    expect(cut!.tokens).toEqual(whole!.tokens.slice(0, place + 3));
    expect(shown.join("")).toBe(cut!.text);
  });

  test("where the context does", async () => {
    const long = Int32Array.from({ length: 45 }, (_, index) => index);
    const answers = await answersOf(exact, { temperature: 0 }, { some: [long, prompts[0]!] });
    expect(answers.map(({ tokens, end }) => [tokens.length, end])).toEqual([
      [3, "length"],
      [10, "length"],
    ]);
  });
});

test("an answer ends where longer sequences have other rotary frequencies", async () => {
  const factors = { short_factor: [1, 2], long_factor: [3, 4], original_max_position_embeddings: 20 };
  const raw = { ...byteConfiguration.raw, rope_scaling: { rope_type: "longrope", ...factors } };
  const configuration = parseConfiguration(raw, "model");
  const model = await initializeLanguageModel(exact, architectureOf(configuration), {
    seed: 5,
    standardDeviation: 0.4,
  });
  const some = [20, 18, 21].map((length) => Int32Array.from({ length }, (_, index) => index));
  const answers = await answersOf(exact, { temperature: 0 }, { model, some });
  expect(answers.map(({ tokens }) => tokens.length)).toEqual([1, 3, 10]);
  for (const { prompt, tokens } of answers) {
    expect(tokens).toEqual(await recompute(exact, model, some[prompt]!, tokens.length, 257));
  }
});

test("pieces of text come while the answer grows, and join to it", async () => {
  const pieces: string[][] = [[], [], [], []];
  const answers = await answersOf(
    native,
    { onText: ({ prompt, text }) => pieces[prompt]!.push(text) },
    { read: tokenizer },
  );
  expect(pieces.map((some) => some.join(""))).toEqual(answers.map(({ text }) => text));
  expect(Math.min(...pieces.map(({ length }) => length))).toBeGreaterThan(3);
});

test("progress counts ended answers over all batches", async () => {
  const counts: number[] = [];
  await answersOf(exact, { samples: 2, batchSize: 3, maxNewTokens: 2, onProgress: (ended) => counts.push(ended) });
  expect(counts).toEqual([0, 6, 6, 8]);
});

test("a signal ends it without half an answer", async () => {
  const controller = new AbortController();
  const stopAt = (ended: number) => ended >= 1 && controller.abort();
  const options = { batchSize: 1, signal: controller.signal, onProgress: stopAt };
  expect((await answersOf(exact, options)).map(({ prompt }) => prompt)).toEqual([0]);
});

test("memory comes back, also where the work ends early", async () => {
  const model = await byteModel(native);
  const before = native.allocatedBytes;
  const check = () => expect(native.allocatedBytes).toBe(before);
  await answersOf(native, { samples: 2, batchSize: 3 }, { model });
  check();
  for await (const _ of generate(native, model, tokenizer, prompts, { ...defaultGenerateOptions, batchSize: 1 })) break;
  check();
  const onText = () => {
    throw new Error("no more");
  };
  await expect(answersOf(native, { onText }, { model })).rejects.toThrow("no more");
  check();
});

test("a trained model's greedy answers are what the whole sequence gives", async (context) => {
  const folder = sharedFile(context, "models/imdb-5m");
  const model = await loadLanguageModel(native, folder);
  const read = await loadTokenizer(folder, model.configuration);
  const texts = [
    "This movie was",
    "I have",
    "The director of this film has made a very strange story about a dog that",
  ];
  const some = await encoded(read, texts);
  const answers = await answersOf(native, { temperature: 0, maxNewTokens: 24, samples: 2 }, { model, some, read });
  for (const { prompt, tokens, end } of answers) {
    const expected = await recompute(native, model, some[prompt]!, 24, read.vocabularySize);
    expect(tokens).toEqual(expected.slice(0, tokens.length));
    if (end === "end token") expect(read.eosIds).toContain(expected[tokens.length]);
    else expect(tokens).toHaveLength(24);
  }
});
