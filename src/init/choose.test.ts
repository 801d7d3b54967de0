import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { example } from "../../test/helpers/tiny.ts";
import { type PreferencePair, pairs } from "../data/forms/pairs.ts";
import { text } from "../data/forms/text.ts";
import { splitByPrompt } from "../data/split.ts";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import { byteConfiguration, byteTokenizer } from "../generate/testing/byte-model.ts";
import { objectiveNamed, objectives } from "../objectives/index.ts";
import { parseRecipe } from "../recipe/parse.ts";
import { runLength } from "../train/loop.ts";
import { choose, chooseLengths, learningRateFor } from "./choose.ts";
import type { DataFindings, ModelFindings } from "./inspect.ts";
import { recipeText } from "./recipe-text.ts";

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await byteTokenizer();
});

const ids = (length: number) => Array.from({ length }, () => 1);
const machineBytes = 16e9;
const times = <Item>(count: number, item: Item) => Array.from({ length: count }, () => item);

function modelWith(contextLength: number, parameters = 5e6): ModelFindings {
  const configuration = { ...byteConfiguration, contextLength };
  const adapter = { base: undefined, parameters: parameters / 100, frozenBytes: 0 };
  return { path: "m", configuration, tokenizer, parameters, dtypes: ["F32"], adapter, notes: [] };
}

/** Pairs with prompts and answers of the given lengths. */
function pairsWith(
  lengths: readonly (readonly [prompt: number, chosen: number, rejected: number])[],
  prompts = lengths.length,
) {
  const place = { file: "pairs.jsonl", line: 1 };
  const items = lengths.map(
    (_, index): PreferencePair => ({ prompt: `p${index % prompts}`, chosen: `${index}`, rejected: "r", place }),
  );
  const examples = lengths.map(([prompt, chosen, rejected]) => example(ids(prompt), ids(chosen), ids(rejected)));
  return {
    ...{ files: ["pairs.jsonl"], columns: {}, form: pairs, items, records: items.length, skipped: [] },
    ...{ prompts, duplicates: 0, multiTurnAnswers: 0, examples, identicalAfterTokenizing: 0 },
    ...{ repeatedPrompts: 0, contradictions: 0, unusedColumns: [] },
  } satisfies DataFindings;
}

test("all pairs fit where that costs little", () => {
  const data = pairsWith([...times(99, [20, 10, 15] as const), [100, 100, 50]]);
  expect(chooseLengths(data, modelWith(1024))).toMatchObject({ maxLength: 208, shareCut: 0, pack: false });
  expect(chooseLengths(data, modelWith(200))).toMatchObject({ maxLength: 200, shareCut: 0 });
});

test("one in a hundred may be cut for the sake of the others", () => {
  const data = pairsWith([...times(990, [100, 50, 60] as const), ...times(10, [900, 300, 300] as const)]);
  const { maxLength, shareCut, sizes } = chooseLengths(data, modelWith(2048));
  expect({ maxLength, shareCut }).toEqual({ maxLength: 160, shareCut: 0.01 });
  // 80 tokens of prompt, and 80 of each answer.
  expect(Math.max(...sizes)).toBe(240);
});

test("the context is the limit", () => {
  const data = pairsWith(times(10, [300, 30, 30] as const));
  expect(chooseLengths(data, modelWith(256))).toMatchObject({ maxLength: 256, maxPromptLength: 128, shareCut: 1 });
});

test("texts are packed where many do not fit", () => {
  const texts = (length: number) => ({ form: text, examples: times(10, example([0], ids(length))) });
  expect(chooseLengths(texts(100), modelWith(256))).toMatchObject({ pack: false, maxLength: 112 });
  expect(chooseLengths(texts(300), modelWith(256))).toMatchObject({ pack: true, maxLength: 256, shareCut: 0 });
  expect(chooseLengths(texts(9000), modelWith(8192))).toMatchObject({ pack: true, maxLength: 512 });
});

test("smaller models learn faster", () => {
  const rates = [3e5, 5e6, 5e7, 1.3e8].map((size) => [
    learningRateFor(size, { supervised: false, adapter: false }),
    learningRateFor(size, { supervised: true, adapter: false }),
    learningRateFor(size, { supervised: false, adapter: true }),
  ]);
  expect(rates).toEqual([
    ["1e-4", "1e-3", "1e-3"],
    ["5e-5", "5e-4", "5e-4"],
    ["2e-5", "1e-4", "2e-4"],
    ["5e-6", "2e-5", "5e-5"],
  ]);
});

test("a prompt with most of the pairs is not held out, nor is anything then", () => {
  const model = modelWith(64);
  const objective = objectiveNamed("dpo").create();
  const chosen = choose(model, pairsWith(times(40, [5, 5, 5] as const), 2), objective, machineBytes);
  expect(chosen.heldOut).toEqual({ heldOut: 4, records: 20 });
  expect(choose(model, pairsWith(times(40, [5, 5, 5] as const), 1), objective, machineBytes).heldOut.heldOut).toBe(0);
});

describe("what trains", () => {
  const data = pairsWith(times(40, [5, 5, 5] as const));
  const objective = objectiveNamed("dpo").create();
  const training = (model: ModelFindings, bytes: number) => choose(model, data, objective, bytes);

  test("is an adapter where the machine has too little memory for the whole model", () => {
    const model = modelWith(64, 1e9);
    const { memory } = training(model, 64e9).training;
    // Weights, gradients, two moments and the reference: 20 bytes for each parameter.
    expect(memory.total).toBeGreaterThan(20e9);
    expect(training(model, memory.total)).toMatchObject({
      learningRate: "5e-6",
      training: { what: "whole model", bytes: { whole: memory.total } },
    });
    const { learningRate, training: adapted } = training(model, memory.total - 1);
    expect({ learningRate, what: adapted.what }).toEqual({ learningRate: "5e-5", what: "new adapter" });
    expect(adapted.bytes).toEqual({ whole: memory.total, adapter: adapted.memory.total });
    expect(adapted.memory).toMatchObject({ weights: 4e7, reference: 0 });
  });

  test("is the whole model where an adapter would take more", () => {
    const model = modelWith(64, 1e5);
    const adapter = { ...model.adapter, parameters: 1e6 };
    expect(training({ ...model, adapter }, 1e6).training.what).toBe("whole model");
  });

  test("is the adapter that is there", () => {
    const model = modelWith(64, 1e5);
    const stored = training({ ...model, adapter: { ...model.adapter, base: "b" } }, 64e9);
    expect(stored).toMatchObject({ learningRate: "1e-3", training: { what: "stored adapter" } });
    expect(stored.training.memory.total).toBe(stored.training.bytes.adapter);
  });
});

test("whatever the sizes, the recipe is valid and fits the data", () => {
  const length = fc.integer({ min: 1, max: 400 });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(length, length, length), { minLength: 1, maxLength: 60 }),
      fc.record({ prompts: fc.integer({ min: 1, max: 60 }), copies: fc.constantFrom(1, 7, 100) }),
      fc.record({ context: fc.integer({ min: 2, max: 2000 }), parameters: fc.constantFrom(1e4, 1e7, 2e9) }),
      fc.constantFrom(...objectives.map(({ name }) => name)),
      (lengths, { prompts, copies }, { context, parameters }, name) => {
        const all = lengths.flatMap((one) => times(copies, one));
        const data = pairsWith(all, Math.min(prompts, all.length));
        const model = modelWith(context, parameters);
        const objective = objectiveNamed(name).create();
        const choices = choose(model, data, objective, machineBytes);
        const recipe = parseRecipe(
          recipeText({ model, data, objective: name, choices, machineBytes, output: "runs/x" }),
          "r.yaml",
        );
        const { train } = splitByPrompt(data.items, { heldOut: recipe.data.heldOut, seed: recipe.seed });
        expect(train).toHaveLength(choices.trainExamples);
        expect(runLength(recipe, train.length).totalSteps).toBe(choices.totalSteps);
        expect(recipe.lora !== undefined).toBe(parameters > 1e9);
        expect(recipe.batchSize).toBeLessThanOrEqual(train.length);
        expect(recipe.warmupSteps).toBeLessThan(choices.totalSteps);
        expect(recipe.data.maxLength).toBeLessThanOrEqual(context);
        expect(recipe.microbatch.tokens).toBeGreaterThanOrEqual(Math.max(...choices.lengths.sizes));
      },
    ),
    { numRuns: 200 },
  );
});
