import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Random } from "../../src/random.ts";
import { fuzz } from "./fuzz.ts";
import { mutated } from "./mutate.ts";
import { subjects } from "./subjects.ts";

test("2,000 changed inputs of all readers are read rightly or refused with a clear error", async () => {
  const keep = await mkdtemp(join(tmpdir(), "tokenwise-fuzz-test-"));
  const { read, refused, failures } = await fuzz({ cases: 2000, seed: 1, keep });
  expect(failures).toEqual([]);
  await rm(keep, { recursive: true });
  // Changes that no reader can see as well as those that it must.
  expect(read).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(500);
}, 600_000);

test("faults of each kind are found, and their inputs kept", async () => {
  const keep = await mkdtemp(join(tmpdir(), "tokenwise-fuzz-test-"));
  const { failures, ...counts } = await fuzz({ cases: 7, seed: 1, keep, planted: true, deadline: 15 });
  expect(failures.map(({ subject, problem }) => `${subject}: ${problem}`)).toEqual([
    expect.stringMatching(/^another error: input: TypeError: undefined is not a function/),
    expect.stringMatching(/^names no file: input: names no file: is wrong$/),
    expect.stringMatching(/^hangs: input: takes longer than 15 s$/),
    expect.stringMatching(/^ends its process: input: ends its process \(7\)/),
    expect.stringMatching(/^fills the memory: input: .*(heap|longer than)/s),
    expect.stringMatching(/^loses records: input: 1 of 2 records$/),
    expect.stringMatching(/^writes a file: input: wrote .*written$/),
  ]);
  expect(counts).toEqual({ read: 0, refused: 0 });
  expect((await readdir(keep)).sort()).toEqual(failures.map(({ number }) => `case-1-${number}`).sort());
  await rm(keep, { recursive: true });
}, 300_000);

test("equal seeds give equal changes", () => {
  const bytes = Buffer.from('{"a": 1, "b": "text"}\n'.repeat(20));
  const change = (seed: number) => mutated(bytes, Random.from(seed, "fuzz", 3)).toString("hex");
  expect(change(1)).toBe(change(1));
  expect(change(1)).not.toBe(change(2));
});

test.each(subjects)("$name: its good input is read", async ({ make, read }) => {
  const folder = await mkdtemp(join(tmpdir(), "tokenwise-fuzz-test-"));
  await make(folder);
  expect(await read(folder)).toBeUndefined();
  await rm(folder, { recursive: true });
});
