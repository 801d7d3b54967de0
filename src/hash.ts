/**
 * MurmurHash3 (x86, 32 bit) of a text's UTF-8 bytes: a fast, well-spread hash that is the same on
 * every machine. Not for secrets.
 *
 * @param seed Any 32-bit number; other seeds give unrelated hashes of the same text.
 * @returns An unsigned 32-bit number.
 */
export function hash32(text: string, seed = 0): number {
  const bytes = new TextEncoder().encode(text);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wholeWords = bytes.length & ~3;
  let hash = seed | 0;
  for (let at = 0; at < wholeWords; at += 4) {
    hash ^= scramble(view.getInt32(at, true));
    hash = (Math.imul(rotateLeft(hash, 13), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = bytes.length - 1; at >= wholeWords; at--) tail = (tail << 8) | bytes[at]!;
  hash ^= scramble(tail);
  return avalanche(hash ^ bytes.length);
}

function scramble(word: number): number {
  return Math.imul(rotateLeft(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
}

/** Lets every bit of the word touch every other. */
function avalanche(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

export function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
