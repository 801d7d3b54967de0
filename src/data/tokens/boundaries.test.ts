import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startToken } from "./boundaries.ts";
import { endOfText, writeByteTokenizer } from "./byte-tokenizer.ts";
import { loadTokenizer } from "./load-tokenizer.ts";
import { promptIds, responseIds, textIds } from "./testing/token-ids.ts";
import type { Tokenizer } from "./tokenizer.ts";

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
  test("has BOS exactly if the tokenizer adds one, and never two", async () => {
    expect(await promptIds(plain, "ab")).toEqual([a, b]);
    expect(await promptIds(adding, "ab")).toEqual([end, a, b]);
    expect(await promptIds(separate, "^ab")).toEqual([bos, a, b]);
    expect(await promptIds(adding, `${endOfText}ab`)).toEqual([end, a, b]);
  });

  test("an empty one is BOS, or EOS where there is no BOS", async () => {
    for (const [tokenizer, expected] of [
      [plain, end],
      [adding, end],
      [separate, bos],
      [{ ...separate, addsBos: false, bosId: undefined }, eos],
    ] as const) {
      expect(await promptIds(tokenizer, "")).toEqual([expected]);
    }
    await expect(promptIds({ ...plain, bosId: undefined, eosId: undefined }, "")).rejects.toThrow(
      /neither a BOS nor an EOS.*name a `bos_token`/,
    );
  });
});

describe("response", () => {
  test("ends with exactly one EOS", async () => {
    expect(await responseIds(plain, "ab", "ab")).toEqual([a, b, end]);
    expect(await responseIds(separate, "", "ab$")).toEqual([a, b, eos]);
    expect(await responseIds(separate, "", "ab$$$")).toEqual([a, b, eos]);
  });

  test("another token that ends texts is an end as well", async () => {
    expect(await responseIds(separate, "", `ab${endOfText}`)).toEqual([a, b, end]);
  });

  test("needs an EOS", async () => {
    await expect(responseIds({ ...plain, eosId: undefined, eosIds: [] }, "", "ab")).rejects.toThrow(
      /has no EOS.*name an `eos_token`/,
    );
  });

  test("gets an artificial space only where it begins the text", async () => {
    const spaced: Tokenizer = {
      ...plain,
      encode: (texts) =>
        plain.encode(texts.map(({ text, continues }) => ({ text: continues ? text : ` ${text}`, continues }))),
    };
    expect(await responseIds(spaced, "a", "b")).toEqual([b, end]);
    expect(await responseIds(spaced, "", "b")).toEqual([32, b, end]);
  });

  test("prompt and response decode to prompt and response, and the prompt is the same whatever the response", () => {
    return fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "grapheme", minLength: 1 }),
        fc.string({ unit: "grapheme" }),
        async (prompt, response) => {
          const [asked, answered] = [await promptIds(plain, prompt), await responseIds(plain, prompt, response)];
          expect(plain.decode([...asked, ...answered])).toBe(prompt + response + endOfText);
          expect(plain.decode(asked)).toBe(prompt);
        },
      ),
    );
  });
});

test("a text on its own begins with the start token and ends with EOS, neither of them twice", async () => {
  expect(await textIds(plain, "ab")).toEqual([end, a, b, end]);
  expect(await textIds(separate, "ab")).toEqual([bos, a, b, eos]);
  expect(await textIds(separate, "^ab$")).toEqual([bos, a, b, eos]);
  expect(startToken(separate)).toBe(bos);
});
