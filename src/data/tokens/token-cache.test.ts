import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TokenCache } from "./token-cache.ts";
import { decodeTokenFile, encodeTokenFile, tokenFileBytes } from "./token-file.ts";

let path: string;
let notes: string[];
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "tokenwise-cache-"));
  notes = [];
});
afterEach(() => rm(path, { recursive: true, force: true }));

const open = (options: { budget?: number; path?: string; named?: boolean } = {}) =>
  new TokenCache({ path: options.path ?? path, named: options.named ?? true }, (note) => notes.push(note), options);
const key = (digit: string) => digit.repeat(64);
const fileOf = (digit: string) => join(path, "tokens", `${key(digit)}.tokens`);
const lists = [Int32Array.of(1, 2, 3), new Int32Array(), Int32Array.of(2 ** 31 - 1)];

test("the bytes of a file are its lists, and any change to them is noticed", () => {
  const tokens = fc.array(fc.int32Array({ maxLength: 6 }), { maxLength: 6 });
  fc.assert(
    fc.property(tokens, fc.nat(), fc.integer({ min: 1, max: 255 }), (some, place, change) => {
      const bytes = encodeTokenFile(some);
      expect(bytes).toHaveLength(tokenFileBytes(some));
      expect(decodeTokenFile(bytes, some.length)).toEqual(some);
      // Wherever in memory the bytes lie.
      expect(decodeTokenFile(Buffer.concat([Buffer.alloc(1), bytes]).subarray(1), some.length)).toEqual(some);
      expect(decodeTokenFile(bytes, some.length + 1)).toBeUndefined();
      expect(decodeTokenFile(bytes.subarray(0, place % bytes.length), some.length)).toBeUndefined();
      bytes[place % bytes.length]! ^= change;
      expect(decodeTokenFile(bytes, some.length)).toBeUndefined();
    }),
  );
});

test("what was written is read, by another process too, under its key only", async () => {
  await open().write(key("a"), lists);
  expect(await open().read(key("a"), lists.length)).toEqual(lists);
  expect(await open().read(key("b"), lists.length)).toBeUndefined();
  expect(notes).toEqual([]);
});

test.skipIf(process.platform === "win32")("only the user may look into it", async () => {
  const inside = join(path, "new", "folder");
  await open({ path: inside }).write(key("a"), lists);
  const modes = [inside, join(inside, "tokens"), join(inside, "tokens", `${key("a")}.tokens`)];
  expect(await Promise.all(modes.map(async (each) => (await stat(each)).mode & 0o777))).toEqual([0o700, 0o700, 0o600]);
});

test("damaged files are as good as none, are noted once, and are written again", async () => {
  for (const digit of ["a", "b", "c"]) await open().write(key(digit), lists);
  await truncate(fileOf("a"), 60);
  await writeFile(fileOf("b"), "");
  const bytes = await readFile(fileOf("c"));
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(fileOf("c"), bytes);
  const cache = open();
  for (const digit of ["a", "b", "c"]) expect(await cache.read(key(digit), lists.length)).toBeUndefined();
  expect(notes).toEqual([expect.stringMatching(/a\.tokens: is damaged, so the data is tokenized again$/)]);
  await cache.write(key("a"), lists);
  expect(await open().read(key("a"), lists.length)).toEqual(lists);
});

describe("a folder that cannot be used", () => {
  test("is no error, and is noted once if the user named it", async () => {
    await writeFile(join(path, "file"), "");
    const blocked = join(path, "file", "cache");
    const cache = open({ path: blocked });
    expect(await cache.read(key("a"), lists.length)).toBeUndefined();
    await cache.write(key("a"), lists);
    await cache.write(key("b"), lists);
    expect(notes).toEqual([expect.stringMatching(/cannot keep tokens: .*, so the data is tokenized each time$/)]);
    await open({ path: blocked, named: false }).write(key("a"), lists);
    expect(notes).toHaveLength(1);
  });

  test("to write to, but to read from, still serves", async () => {
    await open().write(key("a"), lists);
    // Nothing can be put where a folder is.
    await mkdir(fileOf("b"));
    const cache = open();
    await cache.write(key("b"), lists);
    expect(notes).toEqual([expect.stringMatching(/it is a folder.*, so the data is tokenized each time$/)]);
    expect(await cache.read(key("a"), lists.length)).toEqual(lists);
    expect((await readdir(join(path, "tokens"))).sort()).toEqual([`${key("a")}.tokens`, `${key("b")}.tokens`]);
  });
});

describe("the budget", () => {
  const size = tokenFileBytes(lists);
  const kept = async () => (await readdir(join(path, "tokens"))).map((name) => name[0]).sort();
  /** Files a, b, c, written and last used in this order, a long time ago. */
  beforeEach(async () => {
    for (const [index, digit] of ["a", "b", "c"].entries()) {
      await open().write(key(digit), lists);
      await utimes(fileOf(digit), 1000 + index, 1000 + index);
    }
  });

  test("is kept by removing what was not used for longest", async () => {
    await open().read(key("a"), lists.length);
    await open({ budget: 3 * size }).write(key("d"), lists);
    expect(await kept()).toEqual(["a", "c", "d"]);
    await open({ budget: 2 * size }).write(key("c"), lists);
    expect((await kept()).length).toBe(2);
  });

  test("leaves other files alone, and what the same run has used", async () => {
    await writeFile(join(path, "tokens", "notes.txt"), "x".repeat(10 * size));
    const cache = open({ budget: 3 * size });
    for (const digit of ["a", "b"]) await cache.read(key(digit), lists.length);
    for (const digit of ["d", "e"]) await cache.write(key(digit), lists);
    expect(await kept()).toEqual(["a", "b", "d", "n"]);
  });

  test("what is larger than all of it is not kept, and nothing is removed for it", async () => {
    await open({ budget: size - 1 }).write(key("d"), lists);
    expect(await kept()).toEqual(["a", "b", "c"]);
  });

  test("what a killed process left half written is removed after an hour", async () => {
    const [old, fresh] = ["1", "2"].map((number) => `${fileOf("e")}.tmp-${number}-00`);
    for (const file of [old!, fresh!]) await writeFile(file, "");
    await utimes(old!, 1000, 1000);
    await open().write(key("d"), lists);
    const left = (await readdir(join(path, "tokens"))).filter((name) => name.includes(".tmp-"));
    expect(left).toEqual([`${key("e")}.tokens.tmp-2-00`]);
  });
});

test("writers at the same time leave whole files and nothing else", async () => {
  await mkdir(join(path, "tokens"));
  const long = [Int32Array.from({ length: 100_000 }, (_, index) => index)];
  const digits = [..."aaaabbbb"];
  await Promise.all(digits.map((digit) => open({ budget: 3 * tokenFileBytes(long) }).write(key(digit), long)));
  expect((await readdir(join(path, "tokens"))).sort()).toEqual([`${key("a")}.tokens`, `${key("b")}.tokens`]);
  for (const digit of ["a", "b"]) expect(await open().read(key(digit), 1)).toEqual(long);
  expect(notes).toEqual([]);
});
