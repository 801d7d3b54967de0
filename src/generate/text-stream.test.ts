import fc from "fast-check";
import { expect, test } from "vitest";
import { byteTokenizer } from "./testing/byte-model.ts";
import { TextStream } from "./text-stream.ts";

const tokenizer = await byteTokenizer([
  ["h", "e"],
  ["he", "y"],
]);

function pieces(tokens: readonly number[]): string[] {
  const stream = new TextStream(tokenizer);
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
