import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodePrompt, encodeResponse, encodeText, startToken } from "./boundaries.ts";
import { endOfText, writeByteTokenizer } from "./byte-tokenizer.ts";
import { loadTokenizer, type Tokenizer } from "./tokenizer.ts";

let folder: string;
let plain: Tokenizer; // <|endoftext|> (256) is BOS and EOS, and is not added by the tokenizer: as GPT-2
let adding: Tokenizer; // the same, but BOS is added: as Llama
let separate: Tokenizer; // BOS is "^", EOS is "$"
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-boundaries-"));
  await writeByteTokenizer(folder);
  plain = await loadTokenizer(folder);
  adding = { ...plain, addsBos: true };
  separate = { ...plain, addsBos: true, bosId: 94, eosId: 36, eosIds: [36, 256] };
});
afterAll(() => rm(folder, { recursive: true }));

const [a, b, bos, eos, end] = [97, 98, 94, 36, 256];

describe("prompt", () => {
  test("has BOS exactly if the tokenizer adds one, and never two", () => {
    expect(encodePrompt(plain, "ab")).toEqual([a, b]);
    expect(encodePrompt(adding, "ab")).toEqual([end, a, b]);
    expect(encodePrompt(separate, "^ab")).toEqual([bos, a, b]);
    expect(encodePrompt(adding, `${endOfText}ab`)).toEqual([end, a, b]);
  });

  test("an empty one is BOS, or EOS where there is no BOS", () => {
    for (const [tokenizer, expected] of [
      [plain, end],
      [adding, end],
      [separate, bos],
      [{ ...separate, addsBos: false, bosId: undefined }, eos],
    ] as const) {
      expect(encodePrompt(tokenizer, "")).toEqual([expected]);
    }
    expect(() => encodePrompt({ ...plain, bosId: undefined, eosId: undefined }, "")).toThrow(
      /neither a BOS nor an EOS.*name a `bos_token`/,
    );
  });
});

describe("response", () => {
  test("ends with exactly one EOS", () => {
    expect(encodeResponse(plain, "ab", "ab")).toEqual([a, b, end]);
    expect(encodeResponse(separate, "", "ab$")).toEqual([a, b, eos]);
    expect(encodeResponse(separate, "", "ab$$$")).toEqual([a, b, eos]);
  });

  test("another token that ends texts is an end as well", () => {
    expect(encodeResponse(separate, "", `ab${endOfText}`)).toEqual([a, b, end]);
  });

  test("needs an EOS", () => {
    expect(() => encodeResponse({ ...plain, eosId: undefined, eosIds: [] }, "", "ab")).toThrow(
      /has no EOS.*name an `eos_token`/,
    );
  });

  test("gets an artificial space only where it begins the text", () => {
    const spaced: Tokenizer = { ...plain, encode: (text) => plain.encode(` ${text}`) };
    expect(encodeResponse(spaced, "a", "b")).toEqual([b, end]);
    expect(encodeResponse(spaced, "", "b")).toEqual([32, b, end]);
  });

  test("prompt and response decode to prompt and response, and the prompt is the same whatever the response", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", minLength: 1 }),
        fc.string({ unit: "grapheme" }),
        (prompt, response) => {
          const [promptIds, responseIds] = [encodePrompt(plain, prompt), encodeResponse(plain, prompt, response)];
          expect(plain.decode([...promptIds, ...responseIds])).toBe(prompt + response + endOfText);
          expect(plain.decode(promptIds)).toBe(prompt);
        },
      ),
    );
  });
});

test("a text on its own begins with the start token and ends with EOS, neither of them twice", () => {
  expect(encodeText(plain, "ab")).toEqual([end, a, b, end]);
  expect(encodeText(separate, "ab")).toEqual([bos, a, b, eos]);
  expect(encodeText(separate, "^ab$")).toEqual([bos, a, b, eos]);
  expect(startToken(separate)).toBe(bos);
});
