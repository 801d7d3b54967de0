/** Definitions and texts that the native library does not survive, or that would take forever. */
import { rm } from "node:fs/promises";
import { afterEach, expect, test, vi } from "vitest";
import { UserError } from "../../errors.ts";
import { loadTokenizer } from "./load-tokenizer.ts";
import { tokenIds } from "./testing/token-ids.ts";
import { added, lettersDefinition, writeTokenizer } from "./testing/write-tokenizer.ts";
import { TokenizerProcess } from "./tokenizer-process.ts";

const folders: string[] = [];
afterEach(() => Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true }))));

async function attempt(change: object, text: string): Promise<unknown> {
  const folder = await writeTokenizer(lettersDefinition(change));
  folders.push(folder);
  try {
    return await tokenIds(await loadTokenizer(folder), text);
  } catch (error) {
    return error;
  }
}

const split = (Regex: string) => ({
  pre_tokenizer: { type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false },
});

test.each([
  ["a Split that backtracks without end", split("(a+)+$"), `${"a".repeat(40)}!`, /failed: .*retry-limit/],
  [
    "a Replace that does",
    { normalizer: { type: "Replace", pattern: { Regex: "(a|aa)+c" }, content: "x" } },
    `${"a".repeat(60)}!`,
    /failed: .*retry-limit/,
  ],
  ["a pattern that is none", split("("), "a", /can be used: Oniguruma error: [^0-9]*$/],
  ["a broken table", { normalizer: { type: "Precompiled", precompiled_charsmap: "AAAA" } }, "a", /can be used: /],
  ["a huge id", { model: { type: "BPE", vocab: { a: 1e9 }, merges: [] }, added_tokens: [] }, "a", /is 1000000000; ids/],
  ["a huge added id", { added_tokens: [added(1e9, "q")] }, "a", /added_tokens\.0\.id: is 1000000000; ids/],
  ["an id below 0", { model: { type: "BPE", vocab: { a: -1 }, merges: [] } }, "a", /must be a whole number from 0/],
  ["a part that does not exist", { pre_tokenizer: { type: "Words" } }, "a", /can be used: /],
  ["a decoder that does not exist", { decoder: { type: "Words" } }, "a", /decoder: the decoder "Words" is not known/],
  ["a text that is too long", {}, "a".repeat(8_000_001), /has 8000001 characters.*divide it/],
])("%s ends in an error that names the file", async (_, change, text, problem) => {
  const error = await attempt(change, text);
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).message).toMatch(/tokenizer\.json: /);
  expect((error as UserError).message).toMatch(problem);
});

test("after a failure other tokenizers go on", async () => {
  const folder = await writeTokenizer(lettersDefinition());
  folders.push(folder);
  const good = await loadTokenizer(folder);
  expect(await tokenIds(good, "ab")).toEqual([3, 4]);
  expect(await attempt(split("(a+)+$"), `${"a".repeat(40)}!`)).toBeInstanceOf(UserError);
  expect(await tokenIds(good, "ba")).toEqual([4, 3]);
});

test("the library's process ends when nothing is asked, and starts again when something is", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const process = new TokenizerProcess();
    const tokenizer = process.tokenizer(JSON.stringify(lettersDefinition()));
    const ask = () => process.ask<Int32Array[]>(tokenizer, { texts: ["ab"] }, 60_000);
    expect(await ask()).toEqual([Int32Array.of(3, 4)]);
    expect(process.running).toBe(true);
    vi.advanceTimersByTime(60_000);
    expect(process.running).toBe(false);
    expect(await ask()).toEqual([Int32Array.of(3, 4)]);
    vi.advanceTimersByTime(60_000);
  } finally {
    vi.useRealTimers();
  }
});
