import { rm } from "node:fs/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { loadTokenizer } from "../data/tokens/load-tokenizer.ts";
import { promptIds, responseIds, tokenIds } from "../data/tokens/testing/token-ids.ts";
import { lettersDefinition, writeTokenizer } from "../data/tokens/testing/write-tokenizer.ts";
import { byteTokenizer } from "./testing/byte-model.ts";
import { TextStream, tokenPieces } from "./text-stream.ts";

const tokenizer = await byteTokenizer([
  ["h", "e"],
  ["he", "y"],
]);

function pieces(tokens: readonly number[]): string[] {
  const stream = new TextStream(tokenizer, []);
  return [...tokens.map((token) => stream.push(token)), stream.end()];
}

test("half a character waits for its other half", () => {
  expect(pieces([...Buffer.from("aé€!")])).toEqual(["a", "", "é", "", "", "€", "!", ""]);
});

test("what never becomes a character comes at the end, or with what follows", () => {
  expect(pieces([0x61, 0xe2, 0x82])).toEqual(["a", "", "", "\uFFFD"]);
  expect(pieces([0xe2, 0x61]).join("")).toBe("\uFFFDa");
});

test("pieces join to the text of all tokens, whatever the tokens", () => {
  const token = fc.oneof(fc.nat(tokenizer.vocabularySize - 1), fc.constantFrom(0xe2, 0x82, 0xac, 0xc3, 0xa9));
  fc.assert(
    fc.property(fc.array(token, { maxLength: 30 }), (tokens) => {
      expect(pieces(tokens).join("")).toBe(tokenizer.decode(tokens));
    }),
    { seed: 2 },
  );
});

/** As Llama 2: every text begins with a space that decoding takes away again. */
async function sentencePiece() {
  const vocab = Object.fromEntries(["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a"].map((token, id) => [token, id]));
  const replace = { type: "Replace", pattern: { String: "▁" }, content: " " };
  const folder = await writeTokenizer(
    lettersDefinition({
      normalizer: {
        type: "Sequence",
        normalizers: [
          { type: "Prepend", prepend: "▁" },
          { type: "Replace", pattern: { String: " " }, content: "▁" },
        ],
      },
      decoder: {
        type: "Sequence",
        decoders: [
          replace,
          { type: "ByteFallback" },
          { type: "Fuse" },
          { type: "Strip", content: " ", start: 1, stop: 0 },
        ],
      },
      model: { type: "BPE", unk_token: "<unk>", vocab, merges: ["▁ a"] },
    }),
  );
  const tokenizer = await loadTokenizer(folder);
  await rm(folder, { recursive: true });
  return { ...tokenizer, addsBos: true };
}

test("an answer keeps its first space, so that its text gives its tokens again", async () => {
  const tokenizer = await sentencePiece();
  const text = async (prompt: string, tokens: readonly number[]) =>
    tokenPieces(tokenizer, tokens, await promptIds(tokenizer, prompt)).join("");
  expect(await text("b", [6, 5])).toBe(" ab");
  expect(await text("b", [4, 5])).toBe("ab");
  expect(await text("", [6, 5])).toBe("ab");
  const answers = fc.array(fc.constantFrom("a", "b", " "), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom("b", "a ", ""), answers, async (prompt, letters) => {
      const answer = letters.join("");
      const tokens = (await responseIds(tokenizer, prompt, answer)).slice(0, -1);
      const shown = await text(prompt, tokens);
      expect(shown).toBe(answer);
      expect(await tokenIds(tokenizer, shown, prompt !== "")).toEqual(tokens);
    }),
    { numRuns: 50 },
  );
});
