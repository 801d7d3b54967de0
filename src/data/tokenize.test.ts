import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tokenizeChosen, tokenizePairs, tokenizeTexts } from "./tokenize.ts";
import { writeByteTokenizer } from "./tokens/byte-tokenizer.ts";
import { loadTokenizer } from "./tokens/load-tokenizer.ts";
import type { Tokenizer } from "./tokens/tokenizer.ts";

const end = 256; // <|endoftext|>, BOS and EOS
let folder: string;
let tokenizer: Tokenizer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-tokenize-"));
  await writeByteTokenizer(folder);
  tokenizer = await loadTokenizer(folder);
});
afterAll(() => rm(folder, { recursive: true }));

const place = { file: "pairs.jsonl", line: 3 };
const pair = (prompt: string, chosen: string, rejected: string) => ({ prompt, chosen, rejected, place });
const bytes = (text: string) => [...Buffer.from(text)];

describe("tokenizePairs", () => {
  test("a pair is its prompt and both answers, each with EOS", async () => {
    const { examples, report } = await tokenizePairs([pair("Q:", " yes", " no")], tokenizer);
    expect(examples).toEqual([
      {
        prompt: Int32Array.from(bytes("Q:")),
        responses: [Int32Array.from([...bytes(" yes"), end]), Int32Array.from([...bytes(" no"), end])],
        cut: { prompt: 0, responses: [0, 0] },
        place,
      },
    ]);
    expect(report).toEqual({
      examples: 1,
      promptsCut: 0,
      responsesCut: 0,
      tokensCut: 0,
      longestPrompt: 2,
      longestResponse: 5,
      identicalAfterTokenizing: 0,
    });
  });

  test("answers must end on one side of the length from which a model computes otherwise", async () => {
    const pairs = [pair("0123", "a", "b"), pair("0123", "abcd", "a")];
    const lengths = (shortContextLength: number) => ({ shortContextLength, contextLength: 20 });
    await expect(tokenizePairs(pairs, tokenizer, lengths(8))).rejects.toThrow(
      "pairs.jsonl:3: with their prompt the answers have 9 and 6 tokens; from 9 on the model has other rotary " +
        "frequencies, and one prompt cannot have both; set maxLength to 8, or leave the pair out",
    );
    for (const fits of [5, 9]) {
      expect((await tokenizePairs(pairs, tokenizer, lengths(fits))).examples).toHaveLength(2);
    }
    const cut = await tokenizePairs(pairs, tokenizer, { ...lengths(8), maxLength: 8 });
    expect(cut.examples.map(({ responses }) => responses.map(({ length }) => length))).toEqual([
      [2, 2],
      [4, 2],
    ]);
    expect((await tokenizeChosen(pairs, tokenizer, lengths(8))).examples).toHaveLength(2);
  });

  test("cuts are made once for the pair, and counted", async () => {
    const pairs = [pair("0123456789", "abc", "abcdefghijkl"), pair("01", "a", "b")];
    const { examples, report } = await tokenizePairs(pairs, tokenizer, { maxLength: 10, maxPromptLength: 4 });
    expect(examples[0]).toMatchObject({
      prompt: Int32Array.from(bytes("6789")),
      responses: [Int32Array.from([...bytes("abc"), end]), Int32Array.from(bytes("abcdef"))],
      cut: { prompt: 6, responses: [0, 7] },
    });
    expect(report).toMatchObject({
      examples: 2,
      promptsCut: 1,
      responsesCut: 1,
      tokensCut: 13,
      longestPrompt: 10,
      longestResponse: 13,
    });
  });

  test("a tokenizer that adds BOS keeps it in front of a cut prompt", async () => {
    const adding = { ...tokenizer, addsBos: true };
    const { examples } = await tokenizePairs([pair("0123456789", "abcd", "efghijk")], adding, {
      maxLength: 9,
      maxPromptLength: 4,
    });
    expect([...examples[0]!.prompt]).toEqual([end, ...bytes("789")]);
  });

  test("answers that differ only in what was cut off are counted: they teach nothing", async () => {
    const pairs = [pair("Q", "the same, at first", "the same, but then"), pair("Q", "x", "y")];
    const { report } = await tokenizePairs(pairs, tokenizer, { maxLength: 10, maxPromptLength: 1 });
    expect(report.identicalAfterTokenizing).toBe(1);
  });

  test("no pairs, no examples", async () => {
    expect((await tokenizePairs([], tokenizer)).examples).toEqual([]);
  });

  test("the tokenizer of another model is noticed, with the text that shows it", async () => {
    const attempt = () => tokenizePairs([pair("Q", "a", "b")], tokenizer, { modelVocabularySize: 256 });
    await expect(attempt).rejects.toThrow(
      /tokenizer\.json: gives token 256, but the model has 256 tokens: .*does not belong.*pairs\.jsonl:3/,
    );
    expect((await tokenizePairs([pair("Q", "a", "b")], tokenizer, { modelVocabularySize: 257 })).examples).toHaveLength(
      1,
    );
  });
});

test("tokenizeChosen takes the chosen answer only, and only that counts for cutting", async () => {
  const { examples, report } = await tokenizeChosen([pair("0123", "abc", "a very long rejected answer")], tokenizer, {
    maxLength: 8,
    maxPromptLength: 2,
  });
  expect(examples).toMatchObject([
    { responses: [Int32Array.from([...bytes("abc"), end])], cut: { prompt: 0, responses: [0] } },
  ]);
  expect(report.identicalAfterTokenizing).toBe(0);
});

describe("tokenizeTexts", () => {
  const texts = (...list: string[]) => list.map((text) => ({ text, place }));

  test("a text has a prompt of one token, and loses its end and EOS if it is too long", async () => {
    const { examples, report } = await tokenizeTexts(texts("abc", "abcdefgh"), tokenizer, { maxLength: 6 });
    expect(examples.map(({ prompt, responses }) => [[...prompt], [...responses[0]!]])).toEqual([
      [[end], [...bytes("abc"), end]],
      [[end], bytes("abcde")],
    ]);
    expect(report).toMatchObject({
      examples: 2,
      promptsCut: 0,
      responsesCut: 1,
      tokensCut: 4,
      longestPrompt: 1,
      longestResponse: 9,
    });
  });

  test("packed, the texts are one stream in windows that share one token", async () => {
    const { examples, report } = await tokenizeTexts(texts("abc", "de"), tokenizer, { maxLength: 4, pack: true });
    expect(examples.map(({ prompt, responses }) => [...prompt, ...responses[0]!])).toEqual([
      [end, ...bytes("abc")],
      [...bytes("c"), end, ...bytes("de")],
      [...bytes("e"), end],
    ]);
    expect(report).toMatchObject({ examples: 3, tokensCut: 0 });
  });

  test("packed with a tokenizer that adds BOS, every text begins with it", async () => {
    const adding = { ...tokenizer, addsBos: true, bosId: 94 };
    const { examples } = await tokenizeTexts(texts("ab", "c"), adding, { maxLength: 16, pack: true });
    expect(examples.flatMap(({ prompt, responses }) => [...prompt, ...responses[0]!])).toEqual([
      94,
      97,
      98,
      end,
      94,
      99,
      end,
    ]);
  });

  test("packed windows learn every token of the stream once, whatever their length", async () => {
    const words = fc.array(fc.string({ unit: fc.constantFrom(..."abc"), minLength: 1 }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(words, fc.integer({ min: 2, max: 12 }), async (words, maxLength) => {
        const { examples } = await tokenizeTexts(texts(...words), tokenizer, { maxLength, pack: true });
        expect(examples.flatMap(({ responses }) => [...responses[0]!])).toEqual(
          words.flatMap((word) => [...bytes(word), end]),
        );
        for (const [index, { prompt, responses }] of examples.entries()) {
          const length = 1 + responses[0]!.length;
          expect(prompt).toHaveLength(1);
          expect(prompt[0]).toBe(index === 0 ? end : examples[index - 1]!.responses[0]!.at(-1));
          expect(index < examples.length - 1 ? length === maxLength : length >= 2 && length <= maxLength).toBe(true);
        }
      }),
    );
  });
});
