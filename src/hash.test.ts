import { expect, test } from "vitest";
import { hash32 } from "./hash.ts";

// The published vectors of MurmurHash3_x86_32; they cover tails of 0 to 3 bytes.
test.each([
  ["", 0, 0],
  ["", 1, 0x514e28b7],
  ["", 0xffffffff, 0x81f16f39],
  ["test", 0, 0xba6bd213],
  ["test", 0x9747b28c, 0x704b81dc],
  ["aaa", 0x9747b28c, 0x283e0130],
  ["aa", 0x9747b28c, 0x5d211726],
  ["a", 0x9747b28c, 0x7fa09ea6],
  ["Hello, world!", 0x9747b28c, 0x24884cba],
  ["The quick brown fox jumps over the lazy dog", 0x9747b28c, 0x2fa826cd],
  ["ππππππππ", 0x9747b28c, 0xd58063c1],
])("the hash of %j with seed %i is the published one", (text, seed, expected) => {
  expect(hash32(text, seed)).toBe(expected);
});
