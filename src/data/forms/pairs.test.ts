import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UserError } from "../../errors.ts";
import { type PairOptions, readPairs } from "./pairs.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-pairs-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function pairsOf(records: readonly unknown[], options?: PairOptions) {
  const file = join(folder, "pairs.jsonl");
  await writeFile(
    file,
    records.map((record) => (typeof record === "string" ? record : JSON.stringify(record))).join("\n"),
  );
  return readPairs(file, options);
}

const good = { prompt: "Q", chosen: "yes", rejected: "no" };
const dialogue = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Why?\n\nAssistant:";

describe("forms", () => {
  test("prompt, chosen and rejected are taken as they are, an empty prompt included", async () => {
    const { pairs, skipped, multiTurnAnswers } = await pairsOf([good, { ...good, prompt: "", other: 1 }]);
    const file = join(folder, "pairs.jsonl");
    expect(pairs).toEqual([
      { ...good, place: { file, line: 1 } },
      { ...good, prompt: "", place: { file, line: 2 } },
    ]);
    expect([skipped, multiTurnAnswers.count]).toEqual([[], 0]);
  });

  test("scores beside the answers are read, and their difference is kept", async () => {
    const { pairs, unused } = await pairsOf([
      { ...good, chosen_score: 0.5, rejected_score: -1 },
      { ...good, score_chosen: 8, score_rejected: 3 },
    ]);
    expect([pairs.map(({ margin }) => margin), unused.size]).toEqual([[1.5, 5], 0]);
    await expect(pairsOf([{ ...good, chosen_score: "high", rejected_score: 1 }])).rejects.toThrow(
      /:1: chosen_score: must be a number/,
    );
    await expect(pairsOf([{ ...good, chosen_score: 1 }])).rejects.toThrow(/:1: rejected_score: must be a number/);
  });

  test("other names of columns", async () => {
    const columns = { prompt: "question", chosen: "better", rejected: "worse" };
    const { pairs } = await pairsOf([{ question: "Q", better: "yes", worse: "no" }], { columns });
    expect(pairs).toMatchObject([good]);
  });

  test("whole dialogues part at their longest common beginning that ends with the assistant's turn", async () => {
    const { pairs, multiTurnAnswers } = await pairsOf([
      { chosen: `${dialogue} Because.`, rejected: `${dialogue} Be quiet.` },
      { chosen: `${dialogue} Because.`, rejected: `${dialogue} Because.\n\nHuman: And?\n\nAssistant: So.` },
      { prompt: null, chosen: `${dialogue} A`, rejected: `${dialogue} B` },
    ]);
    expect(pairs.map(({ prompt }) => prompt)).toEqual([dialogue, dialogue, dialogue]);
    expect(pairs[0]).toMatchObject({ chosen: " Because.", rejected: " Be quiet." });
    expect(pairs[1]).toMatchObject({ chosen: " Because.", rejected: " Because.\n\nHuman: And?\n\nAssistant: So." });
    expect(multiTurnAnswers.count).toBe(1);
  });

  test("records of both forms and several files may be mixed", async () => {
    const other = join(folder, "other.json");
    await writeFile(other, JSON.stringify([good]));
    const first = join(folder, "first.jsonl");
    await writeFile(first, JSON.stringify({ chosen: `${dialogue} a`, rejected: `${dialogue} b` }));
    const { pairs } = await readPairs([first, other]);
    expect(pairs.map(({ prompt, place }) => [prompt, place.file])).toEqual([
      [dialogue, first],
      ["Q", other],
    ]);
  });
});

const badRecords: [name: string, record: unknown, reason: RegExp][] = [
  ["no chosen", { prompt: "Q", rejected: "no" }, /^chosen: is missing; the record has `prompt`, `rejected`$/],
  ["null rejected", { ...good, rejected: null }, /^rejected: is missing/],
  ["blank chosen", { ...good, chosen: " \n\t" }, /^chosen: is blank$/],
  ["equal answers", { ...good, chosen: "no" }, /^rejected: the same text as in `chosen`$/],
  ["a number", { ...good, chosen: 7 }, /^chosen: must be a text, not a number$/],
  ["a list", { ...good, rejected: ["no"] }, /^rejected: must be a text, not a list$/],
  ["a prompt that is no text", { ...good, prompt: { text: "Q" } }, /^prompt: must be a text, not an object$/],
  [
    "no prompt",
    { chosen: "yes", rejected: "no" },
    /^prompt: is missing, and .*no common beginning .*"\\n\\nAssistant:"$/,
  ],
  ["a blank answer in a dialogue", { chosen: `${dialogue} `, rejected: `${dialogue} b` }, /^chosen: is blank$/],
  ["half a character", '{"prompt":"Q","chosen":"\\ud83d","rejected":"no"}', /^chosen: holds half a character/],
  ["broken JSON", '{"prompt":', /^is not valid JSON/],
  ["a list for a record", "[1]", /^a record must be an object/],
];

describe("bad records", () => {
  test.each(badRecords)("%s: an error that says where and what to do", async (_, record, reason) => {
    const error = await pairsOf([good, record]).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(UserError);
    const { message, hint, place } = error as UserError;
    expect(place).toMatchObject({ file: join(folder, "pairs.jsonl"), line: 2 });
    expect(hint).toMatch(/onBadPair: skip/);
    const [, body] = /pairs\.jsonl:2: (.*); correct the file/.exec(message)!;
    expect(body).toMatch(reason);
  });

  test("with skip, all are listed with their reasons and the rest is kept", async () => {
    const { pairs, skipped } = await pairsOf([...badRecords.map(([, record]) => record), good], { onBadPair: "skip" });
    expect(pairs).toMatchObject([good]);
    expect(skipped.map(({ line }) => line)).toEqual(badRecords.map((_, index) => index + 1));
    for (const [index, [, , reason]] of badRecords.entries()) expect(skipped[index]!.reason).toMatch(reason);
  });

  test("nothing left is an error in any case", async () => {
    await expect(pairsOf([{ ...good, chosen: "" }, "{"], { onBadPair: "skip" })).rejects.toThrow(
      /pairs\.jsonl:1: nothing is left: all 2 records are bad, this one because chosen: is blank/,
    );
    await expect(pairsOf(["{"], { onBadPair: "skip" })).rejects.toThrow(
      /pairs\.jsonl:1: nothing is left: the only record is bad because is not valid JSON/,
    );
    await expect(readPairs([])).rejects.toThrow(/no data file/);
  });

  test("single answers with votes are refused with what to do instead, even with skip", async () => {
    const votes = { prompt: "Q", completion: "yes", label: true };
    await expect(pairsOf([good, votes], { onBadPair: "skip" })).rejects.toThrow(
      /:2: holds single answers with votes \(`completion`, `label`\).*\{"prompt", "chosen", "rejected"\}$/,
    );
  });
});
