/** Scores of tiny models, against direct computation in float64 from whole sequences. */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { logitsOf, sequenceBatch } from "../../test/helpers/logits.ts";
import { pairRecords, recordingReporter, trainTiny, writeJsonLines } from "../../test/helpers/runs.ts";
import { writeByteTokenizer } from "../data/tokens/byte-tokenizer.ts";
import { float64Engine } from "../engine/float64.ts";
import { UserError } from "../errors.ts";
import { writeByteModel } from "../generate/testing/byte-model.ts";
import { loadModel } from "../loaded-model.ts";
import { openModelFolder } from "../storage/folder.ts";
import { loadLanguageModel } from "../storage/load-model.ts";
import { saveModelFolder } from "../storage/save-folder.ts";
import { type ScoreOptions, score } from "./score.ts";
import { type ComparedAnswer, type ScoredPair, scoredPair, scoreLine } from "./scored-pair.ts";

let folder: string;
let model: string;
let data: string;
const at = (name: string) => join(folder, name);
const records = pairRecords(7);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-test-"));
  model = await writeByteModel(at("model"));
  // A prompt begins with the token of its beginning.
  await writeByteTokenizer(model, [], { addBos: true });
  data = await writeJsonLines(at("pairs.jsonl"), records);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function scoresOf(options: Partial<ScoreOptions> = {}): Promise<ScoredPair<ComparedAnswer>[]> {
  const scored = await score({ model, data: [data], threads: 2, ...options });
  return collected(scored) as Promise<ScoredPair<ComparedAnswer>[]>;
}

async function collected(pairs: AsyncIterable<ScoredPair>): Promise<ScoredPair[]> {
  const all: ScoredPair[] = [];
  for await (const pair of pairs) all.push(pair);
  return all;
}

/** The distribution at each token of an answer, as logarithms, in float64. */
async function direct(path: string, prompt: Int32Array, tokens: Int32Array): Promise<number[][]> {
  const engine = float64Engine();
  const logits = await logitsOf(engine, await loadLanguageModel(engine, path), sequenceBatch([...prompt, ...tokens]));
  return logits.slice(prompt.length - 1, -1).map((row) => {
    const largest = Math.max(...row);
    const total = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)) + largest;
    return row.map((logit) => logit - total);
  });
}

const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
const expectation = (of: readonly number[], values: readonly number[]) =>
  sum(of.map((logp, token) => Math.exp(logp) * values[token]!));

test("every number is that of whole sequences in float64, tokens are those of training", async () => {
  const reference = at("reference");
  await trainTiny(folder, { model, output: at("other"), steps: 3, data: { train: data } });
  await cp(join(at("other"), "model"), reference, { recursive: true });
  const scored = await scoresOf({ reference });
  expect(scored).toHaveLength(records.length);
  const end = 256;
  for (const [index, pair] of scored.entries()) {
    const record = records[index]!;
    expect(pair.index).toBe(index);
    expect(pair.place).toEqual({ file: data, line: index + 1 });
    expect([...pair.prompt.tokens]).toEqual([end, ...Buffer.from(record.prompt)]);
    for (const side of ["chosen", "rejected"] as const) {
      const answer = pair[side];
      expect([...answer.tokens]).toEqual([...Buffer.from(record[side]), end]);
      const [ours, theirs] = [
        await direct(model, pair.prompt.tokens, answer.tokens),
        await direct(reference, pair.prompt.tokens, answer.tokens),
      ];
      const lists = {
        logp: ours.map((row, token) => row[answer.tokens[token]!]!),
        entropy: ours.map((row) => -expectation(row, row)),
        referenceLogp: theirs.map((row, token) => row[answer.tokens[token]!]!),
        logRatio: ours.map((row, token) => row[answer.tokens[token]!]! - theirs[token]![answer.tokens[token]!]!),
        klReferencePolicy: theirs.map((row, token) =>
          expectation(
            row,
            row.map((p, v) => p - ours[token]![v]!),
          ),
        ),
        klPolicyReference: ours.map((row, token) =>
          expectation(
            row,
            row.map((p, v) => p - theirs[token]![v]!),
          ),
        ),
      };
      for (const [name, expected] of Object.entries(lists)) {
        const found = answer[name as keyof typeof lists];
        expect(found).toHaveLength(answer.tokens.length);
        for (const [token, value] of expected.entries()) expect(found[token], name).toBeCloseTo(value, 4);
        const total = { logp: "sum", referenceLogp: "referenceSum" }[name] ?? `${name}Sum`;
        expect(answer[total as keyof ComparedAnswer], total).toBeCloseTo(sum(found), 9);
      }
    }
  }
  // The reference is another model, so that the comparisons above say something.
  expect(scored[0]!.chosen.klReferencePolicySum).toBeGreaterThan(1e-3);
});

test("a loaded model says the same of the same texts", async () => {
  const scored = await scoresOf();
  const loaded = await loadModel(model, { threads: 2 });
  try {
    const again = await loaded.score(records);
    expect(again).toEqual(scored.map(({ place: _, ...pair }) => pair));
  } finally {
    loaded.dispose();
  }
});

test("a run brings its limits, columns and held-out pairs; its adapter is used", async () => {
  const named = records.map(({ prompt, chosen, rejected }) => ({ prompt, yes: chosen, no: rejected }));
  const train = await writeJsonLines(at("named.jsonl"), named);
  const columns = { chosen: "yes", rejected: "no" };
  await trainTiny(folder, {
    ...{ model, output: at("run"), objective: { name: "dpo" }, lora: { rank: 2 }, learningRate: 0.1 },
    data: { train, heldOut: 2, columns, maxLength: 9, maxPromptLength: 4 },
  });
  const heldOut = await scoresOf({ model: at("run"), data: undefined, reference: model });
  expect(heldOut).toHaveLength(2);
  expect(heldOut.some(({ chosen }) => Math.abs(chosen.logRatioSum) > 1e-4)).toBe(true);
  const all = await scoresOf({ model: at("run"), data: [train] });
  expect(all).toHaveLength(records.length);
  for (const { prompt, chosen, rejected } of all)
    expect(prompt.tokens.length + Math.max(chosen.tokens.length, rejected.tokens.length)).toBeLessThanOrEqual(9);
  const adapter = join(at("run"), "model");
  expect(await scoresOf({ model: adapter, data: [train], columns, maxLength: 9, maxPromptLength: 4 })).toEqual(all);
});

test("what is cut, left out and skipped is told", async () => {
  const bad = await writeJsonLines(at("bad.jsonl"), [records[1], { prompt: "a", chosen: "b" }, records[2]]);
  await expect(scoresOf({ data: [bad] })).rejects.toThrow(/bad\.jsonl:2: rejected: is missing/);
  const { reporter, notes, warnings } = recordingReporter();
  const scored = await scoresOf({ data: [bad], onBadPair: "skip", maxLength: 6, examples: 1, reporter });
  expect(scored.map(({ place }) => place!.line)).toEqual([1]);
  expect(warnings.join("\n")).toMatch(/skipped 1 bad record/);
  expect(notes.join("\n")).toMatch(
    /2 given examples[\s\S]*cut to fit \(given\): [\s\S]*the first 1 of the 2 given examples/,
  );
});

test("a signal ends it between two pairs, and before the first", async () => {
  const controller = new AbortController();
  const seen: number[] = [];
  const limited = await score({ model, data: Array(400).fill(data), threads: 2, signal: controller.signal });
  for await (const { index } of limited) {
    seen.push(index);
    controller.abort();
  }
  expect(seen.length).toBeGreaterThan(0);
  expect(seen.length).toBeLessThan(400 * records.length);
  expect(await scoresOf({ signal: controller.signal })).toEqual([]);
});

describe("refuses, before any weights are loaded", () => {
  test.each<[string, () => Partial<ScoreOptions>, RegExp]>([
    ["no model", () => ({ model: at("none") }), /none: no such model folder/],
    ["no data", () => ({ data: undefined }), /model: a model folder brings no data; give pairs with `data`/],
    ["no reference", () => ({ reference: at("none") }), /none: no such model folder/],
    ["no such column", () => ({ columns: { chosen: "best" } }), /pairs\.jsonl:1: best: is missing/],
    ["too long a limit", () => ({ maxLength: 1000 }), /maxLength: 1000 tokens are more than the model's context of 48/],
  ])("%s", async (_, options, message) => {
    await expect(score({ model, data: [data], ...options() })).rejects.toThrow(message);
  });

  test("a reference whose context is shorter than an example", async () => {
    const opened = await openModelFolder(model);
    const parameters = new Map<string, Float32Array>();
    for (const name of opened.parameters.keys()) parameters.set(name, await opened.read(name));
    const raw = { ...opened.configuration.raw, max_position_embeddings: 8 };
    const configuration = { ...opened.configuration, contextLength: 8, raw };
    await saveModelFolder(at("short"), { configuration, parameters, tokenizerFrom: model });
    const message = /short: an example has 1\d tokens, more than the context of 8 of the reference; .*`maxLength: 8`/;
    await expect(score({ model, data: [data], reference: at("short") })).rejects.toThrow(message);
    expect(await scoresOf({ reference: at("short"), maxLength: 8 })).toHaveLength(records.length);
  });

  test("a run over single answers, unless pairs are given", async () => {
    await trainTiny(folder, { model, output: at("sft"), data: { train: data, heldOut: 2 } });
    await expect(score({ model: at("sft") })).rejects.toThrow(/sft: the run was trained on single answers or texts/);
    expect(await scoresOf({ model: at("sft") })).toHaveLength(records.length);
  });
});

describe("a line", () => {
  const tokens = Int32Array.of(1, 2);
  const example = {
    prompt: Int32Array.of(0),
    responses: [tokens, tokens],
    cut: { prompt: 0, responses: [0, 0] },
    place: { file: "a.jsonl", line: 3 },
  };
  const vectors = { policyLogp: Float64Array.of(-1 / 3, -2), entropy: Float64Array.of(0.5, Math.fround(0.1)) };

  test("has nine significant digits, plain names, and the place", () => {
    const side =
      '{"tokens":[1,2],"logp":[-0.333333333,-2],"sum":-2.33333333,"entropy":[0.5,0.100000001],"entropy_sum":0.600000001}';
    expect(scoreLine(scoredPair({ example, responses: [vectors, vectors] }, 4))).toBe(
      `{"index":4,"prompt":{"tokens":[0]},"chosen":${side},"rejected":${side},"file":"a.jsonl","line":3}`,
    );
  });

  test.each([Number.NaN, Number.NEGATIVE_INFINITY])("cannot have %d: the token is named", (value) => {
    const wrong = { ...vectors, policyLogp: Float64Array.of(-1, value) };
    const make = () => scoredPair({ example, responses: [vectors, wrong] }, 0);
    expect(make).toThrow(UserError);
    expect(make).toThrow(`a.jsonl:3: rejected: token 2: policyLogp is ${value}; the model computes no finite numbers`);
  });
});
