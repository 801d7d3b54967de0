/** Changes to the bytes of files, as accidents and bad intent make them. */
import type { Random } from "../../src/random.ts";

type Mutation = (bytes: Buffer, random: Random) => Buffer;

/** Numbers and texts that readers stumble over. */
const strange = [
  ...[
    "0",
    "-1",
    "1e999",
    "-0",
    "9007199254740993",
    "99999999999999999999",
    "0.5",
    "NaN",
    "null",
    "true",
    '""',
    "[]",
    "{}",
  ],
  ...[
    '"\\ud800"',
    '"\\u0000"',
    '"__proto__"',
    "\u001b[2J",
    "\n",
    "\r",
    "\u2028",
    "\ufeff",
    "&a *a",
    "!!js/function",
    "../../x",
  ],
];

const mutations: readonly Mutation[] = [
  function flipBit(bytes, random) {
    const at = random.integer(bytes.length);
    bytes[at]! ^= 1 << random.integer(8);
    return bytes;
  },
  function setByte(bytes, random) {
    bytes[random.integer(bytes.length)] = [0, 0xff, 0x7f, 0x80, 0x22, 0x0a][random.integer(6)]!;
    return bytes;
  },
  function setNumber(bytes, random) {
    if (bytes.length < 8) return bytes;
    const at = random.integer(bytes.length - 7);
    const value = [0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n][random.integer(7)]!;
    if (random.integer(2)) bytes.writeBigUInt64LE(value, at);
    else bytes.writeUInt32LE(Number(value & 0xffffffffn), at);
    return bytes;
  },
  function cut(bytes, random) {
    return bytes.subarray(0, random.integer(bytes.length));
  },
  function remove(bytes, random) {
    const [start, end] = range(bytes, random);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
  },
  function repeat(bytes, random) {
    const [start, end] = range(bytes, random);
    const times = 1 + random.integer(20);
    return Buffer.concat([
      bytes.subarray(0, end),
      ...Array(times).fill(bytes.subarray(start, end)),
      bytes.subarray(end),
    ]);
  },
  function insertNoise(bytes, random) {
    const at = random.integer(bytes.length + 1);
    const noise = Buffer.from(Array.from({ length: 1 + random.integer(40) }, () => random.integer(256)));
    return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
  },
  function insertStrange(bytes, random) {
    const at = random.integer(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(pick(strange, random)), bytes.subarray(at)]);
  },
  function changeValue(bytes, random) {
    return replaceMatch(bytes, /-?\d+(\.\d+)?|"[^"]*"|true|false|null/g, pick(strange, random), random);
  },
  function nest(bytes, random) {
    const [open, close] = random.integer(2) ? ["[", "]"] : ['{"a":', "}"];
    const depth = 10 ** (1 + random.integer(5));
    return replaceMatch(bytes, /-?\d+|"[^"]*"/g, open.repeat(depth) + close.repeat(depth), random);
  },
  function lengthen(bytes, random) {
    return replaceMatch(bytes, /(?<=")[^"]+(?=")|\d+/g, "9".repeat(10 ** (1 + random.integer(6))), random);
  },
  function swapLines(bytes, random) {
    const lines = bytes.toString("latin1").split("\n");
    const [a, b] = [random.integer(lines.length), random.integer(lines.length)];
    [lines[a], lines[b]] = [lines[b]!, lines[a]!];
    return Buffer.from(lines.join("\n"), "latin1");
  },
];

/** The bytes after one to three changes. */
export function mutated(bytes: Buffer, random: Random): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let times = 1 + random.integer(3); times > 0 && changed.length > 0; times--)
    changed = pick(mutations, random)(Buffer.from(changed), random);
  return changed;
}

function pick<Value>(values: readonly Value[], random: Random): Value {
  return values[random.integer(values.length)]!;
}

function range(bytes: Buffer, random: Random): [start: number, end: number] {
  const start = random.integer(bytes.length);
  const longest = random.integer(2) ? 8 : bytes.length - start;
  return [start, Math.min(bytes.length, start + 1 + random.integer(longest))];
}

/** Puts a text in the place of one of the parts that a pattern matches. */
function replaceMatch(bytes: Buffer, pattern: RegExp, text: string, random: Random): Buffer {
  const content = bytes.toString("latin1");
  const matches = [...content.matchAll(pattern)];
  if (matches.length === 0) return bytes;
  const { index, 0: found } = pick(matches, random);
  const replaced = [content.slice(0, index), content.slice(index + found.length)] as const;
  return Buffer.concat([Buffer.from(replaced[0], "latin1"), Buffer.from(text), Buffer.from(replaced[1], "latin1")]);
}
