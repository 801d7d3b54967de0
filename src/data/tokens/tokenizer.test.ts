import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { UserError } from "../../errors.ts";
import { endOfText, writeByteTokenizer } from "./byte-tokenizer.ts";
import { loadTokenizer } from "./load-tokenizer.ts";
import { tokenIds } from "./testing/token-ids.ts";

const merges = [
  ["t", "h"],
  ["th", "e"],
  ["a", "n"],
  ["an", "d"],
] as const;
const size = 256 + merges.length + 1;
const folders: string[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-tokenizer-"));
  folders.push(folder);
  await writeByteTokenizer(folder, merges);
});
afterAll(() => Promise.all(folders.map((each) => rm(each, { recursive: true }))));

/** Changes a JSON file of the folder; a file that is not there counts as `{}`. */
async function edit(name: string, change: (content: Record<string, unknown>) => void): Promise<void> {
  const file = join(folder, name);
  const content = JSON.parse(await readFile(file, "utf8").catch(() => "{}"));
  change(content);
  await writeFile(file, JSON.stringify(content));
}

describe("a byte-level tokenizer", () => {
  test("merges by rank, and knows its special token in the midst of text", async () => {
    const tokenizer = await loadTokenizer(folder);
    expect(await tokenIds(tokenizer, "the and")).toEqual([257, 32, 259]);
    expect(await tokenIds(tokenizer, `the${endOfText}x`)).toEqual([257, size - 1, "x".charCodeAt(0)]);
    expect(await tokenIds(tokenizer, "")).toEqual([]);
    expect(tokenizer.vocabularySize).toBe(size);
  });

  test("decode gives back every text, empty ones and odd characters included", async () => {
    const tokenizer = await loadTokenizer(folder);
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: fc.constantFrom(..." the and\n\t.,'sé€😀") })),
        async (text) => {
          const ids = await tokenIds(tokenizer, text);
          expect(ids.every((id) => Number.isInteger(id) && id >= 0 && id < size)).toBe(true);
          expect(tokenizer.decode(Int32Array.from(ids))).toBe(text);
        },
      ),
    );
  });

  test("special tokens are shown by decode, unless asked not to", async () => {
    const tokenizer = await loadTokenizer(folder);
    expect(tokenizer.decode([257, size - 1])).toBe(`the${endOfText}`);
    expect(tokenizer.decode([257, size - 1], { skipSpecialTokens: true })).toBe("the");
  });

  test("spaces before punctuation are left as they are", async () => {
    await edit("tokenizer_config.json", (config) => {
      config.clean_up_tokenization_spaces = true;
    });
    const tokenizer = await loadTokenizer(folder);
    expect(tokenizer.decode(await tokenIds(tokenizer, "do n't , I say ."))).toBe("do n't , I say .");
  });
});

test("the fingerprint is that of what gives the ids, wherever it lies", async () => {
  const fingerprint = async () => (await loadTokenizer(folder)).fingerprint;
  const [first, folderBefore] = [await fingerprint(), folder];
  folder = await mkdtemp(join(tmpdir(), "tokenwise-tokenizer-"));
  folders.push(folder);
  await writeByteTokenizer(folder, merges);
  expect(folder).not.toBe(folderBefore);
  expect(await fingerprint()).toBe(first);
  await edit("tokenizer.json", (definition) => {
    definition.normalizer = { type: "Lowercase" };
  });
  const second = await fingerprint();
  await edit("tokenizer_config.json", (config) => {
    config.added_tokens_decoder = { [size]: { content: "<|end|>" } };
  });
  expect(new Set([first, second, await fingerprint()]).size).toBe(3);
});

describe("BOS and EOS", () => {
  const end = size - 1;

  test("are named by tokenizer_config.json, before the model's config.json", async () => {
    expect(await loadTokenizer(folder, { bosTokenId: 1, eosTokenIds: [2, 3] })).toMatchObject({
      bosId: end,
      eosId: end,
      eosIds: [end, 2, 3],
      addsBos: false,
    });
  });

  test("or by special_tokens_map.json, as text or as { content }", async () => {
    await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify({ bos_token: null }));
    await writeFile(
      join(folder, "special_tokens_map.json"),
      JSON.stringify({ bos_token: "a", eos_token: { content: "b" } }),
    );
    expect(await loadTokenizer(folder)).toMatchObject({ bosId: 97, eosId: 98, eosIds: [98] });
  });

  test("or by the model's config.json alone, where the first of several ends is the one to append", async () => {
    await rm(join(folder, "tokenizer_config.json"));
    expect(await loadTokenizer(folder, { bosTokenId: 5, eosTokenIds: [7, 8] })).toMatchObject({
      bosId: 5,
      eosId: 7,
      eosIds: [7, 8],
    });
    expect(await loadTokenizer(folder, { eosTokenIds: 7 })).toMatchObject({ bosId: undefined, eosId: 7, eosIds: [7] });
    expect(await loadTokenizer(folder)).toMatchObject({
      bosId: undefined,
      eosId: undefined,
      eosIds: [],
      addsBos: false,
    });
  });

  test("a post-processor that adds BOS is noticed, and encode still adds nothing", async () => {
    await writeByteTokenizer(folder, merges, { addBos: true });
    const tokenizer = await loadTokenizer(folder);
    expect(tokenizer).toMatchObject({ bosId: end, addsBos: true });
    expect(await tokenIds(tokenizer, "the")).toEqual([257]);
  });

  test("tokenizer.json says whether a text begins with BOS; add_bos_token that says otherwise is warned of", async () => {
    const setting = (add_bos_token: boolean) =>
      edit("tokenizer_config.json", (config) => {
        config.add_bos_token = add_bos_token;
      });
    await setting(true);
    expect(await loadTokenizer(folder)).toMatchObject({
      addsBos: false,
      warnings: [expect.stringMatching(/config\.json says add_bos_token: true, but .*tokenizer\.json begins no text/)],
    });
    await writeByteTokenizer(folder, merges, { addBos: true });
    await setting(true);
    expect(await loadTokenizer(folder)).toMatchObject({ addsBos: true, warnings: [] });
    await setting(false);
    expect(await loadTokenizer(folder)).toMatchObject({
      addsBos: true,
      warnings: [expect.stringMatching(/add_bos_token: false, but .*tokenizer\.json begins texts with BOS/)],
    });
  });

  test("a named token that the vocabulary lacks, and an id beyond it, are refused", async () => {
    await edit("tokenizer_config.json", (config) => {
      config.eos_token = "</s>";
    });
    await expect(loadTokenizer(folder)).rejects.toThrow(
      /tokenizer_config\.json: eos_token: "<\/s>" is not in the vocabulary/,
    );
    await writeFile(join(folder, "tokenizer_config.json"), "{}");
    await expect(loadTokenizer(folder, { eosTokenIds: 50256 })).rejects.toThrow(
      /eos_token_id: .*50256, but the tokenizer has 261/,
    );
  });
});

describe("a tokenizer that puts a space in front of every text", () => {
  const addSpace: [name: string, change: (json: Record<string, unknown>) => void][] = [
    [
      "byte level with add_prefix_space",
      (json) => Object.assign(json.pre_tokenizer as object, { add_prefix_space: true }),
    ],
    [
      "a Prepend normalizer in a sequence",
      (json) =>
        Object.assign(json, { normalizer: { type: "Sequence", normalizers: [{ type: "Prepend", prepend: " " }] } }),
    ],
    ["a Prepend normalizer", (json) => Object.assign(json, { normalizer: { type: "Prepend", prepend: " " } })],
  ];

  test.each(addSpace)("%s: not in front of a continuation", async (_, change) => {
    await edit("tokenizer.json", change);
    const tokenizer = await loadTokenizer(folder);
    expect(await tokenIds(tokenizer, "the")).toEqual([32, 257]);
    expect(await tokenIds(tokenizer, "the", true)).toEqual([257]);
    expect(await tokenIds(tokenizer, " the", true)).toEqual([32, 257]);
  });

  test("Metaspace", async () => {
    await edit("tokenizer.json", (json) => {
      Object.assign(json, {
        pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first" },
        decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "first" },
        model: { type: "BPE", unk_token: null, vocab: { "▁": 0, a: 1, b: 2 }, merges: [] },
        added_tokens: [],
      });
    });
    await writeFile(join(folder, "tokenizer_config.json"), "{}");
    const tokenizer = await loadTokenizer(folder);
    expect(await tokenIds(tokenizer, "a b")).toEqual([0, 1, 0, 2]);
    expect(await tokenIds(tokenizer, "a b", true)).toEqual([1, 0, 2]);
  });
});

describe("a folder without a usable tokenizer", () => {
  test("no tokenizer.json", async () => {
    await rm(join(folder, "tokenizer.json"));
    await expect(loadTokenizer(folder)).rejects.toThrow(
      /tokenizer\.json: there is no such file; a Hugging Face model folder/,
    );
  });

  test.each(["tokenizer.model", "spiece.model", "merges.txt", "vocab.txt", "qwen.tiktoken"])(
    "%s in place of tokenizer.json",
    async (name) => {
      await rm(join(folder, "tokenizer.json"));
      await writeFile(join(folder, name), "");
      const message = `there is no such file; the folder has a ${name} only: save it again with AutoTokenizer`;
      await expect(loadTokenizer(folder)).rejects.toThrow(message);
    },
  );

  test.each([
    "{",
    "[]",
    "{}",
    '{"model":null}',
    '{"model":{"type":"BPE"},"decoder":null,"post_processor":null,"pre_tokenizer":null,"normalizer":null}',
  ])("tokenizer.json is %s", async (content) => {
    await writeFile(join(folder, "tokenizer.json"), content);
    const error = await loadTokenizer(folder).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toMatch(/tokenizer\.json(:1:2)?: /);
  });
});
