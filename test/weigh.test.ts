/** Importance weights from end to end: contrastive models, estimates, training with them. */
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import { UserError } from "../src/errors.ts";
import type { PairEstimate } from "../src/importance/estimate.ts";
import { openEstimates, readEstimates } from "../src/importance/estimates-file.ts";
import { createObjective } from "../src/objectives/index.ts";
import { parseRecipe } from "../src/recipe/parse.ts";
import { estimatesFile, type WeightedRecipe } from "../src/runs/token-weights.ts";
import { loadLanguageModel } from "../src/storage/load-model.ts";
import { contrastiveRecipe, type TrainedContrast } from "../src/weigh/contrastive-runs.ts";
import { poles } from "../src/weigh/poles.ts";
import { weigh } from "../src/weigh/weigh.ts";
import { largestError } from "./helpers/compare.ts";
import { plainGradients } from "./helpers/plain.ts";
import {
  folderWithBase,
  hashes,
  init,
  pairRecords,
  readMetrics,
  recordingReporter,
  type Settings,
  tinyRecipe,
  trainTiny,
  writeJsonLines,
} from "./helpers/runs.ts";

let folder: string;
let base: string;
let data: Settings;

beforeEach(async () => {
  ({ folder, base, data } = await folderWithBase());
});

function weightedRecipe(changes: Settings = {}): WeightedRecipe {
  const settings = {
    model: base,
    data,
    objective: { name: "tis-dpo" },
    weights: { from: "dpo", training: { steps: 3 } },
    ...changes,
  };
  return parseRecipe(tinyRecipe(folder, settings), "recipe.yaml") as WeightedRecipe;
}

async function weighTiny(recipe: WeightedRecipe, signal = new AbortController().signal) {
  const heard = recordingReporter();
  const result = await weigh(recipe, { signal, reporter: heard.reporter });
  return { ...result, ...heard };
}

async function estimatesOf(recipe: WeightedRecipe) {
  const opened = await openEstimates(estimatesFile(recipe));
  const pairs: PairEstimate[] = [];
  for await (const pair of readEstimates(opened)) pairs.push(pair);
  return { identity: opened.identity, pairs };
}

const trainSettings = ({ weights }: WeightedRecipe): Settings => ({
  model: base,
  data,
  objective: { name: "tis-dpo" },
  weights,
});

describe("contrastive recipes", () => {
  test("the negative side swaps the answers, and its own settings go before those of the recipe", () => {
    const recipe = weightedRecipe({
      weights: { from: "dpo", training: { beta: 0.3, epochs: 2, learningRate: 0.5 } },
      data: { ...data, columns: { chosen: "good" } },
    }) as TrainedContrast;
    const [positive, negative] = poles.map((pole) => contrastiveRecipe(recipe, pole));
    expect(positive).toMatchObject({
      objective: { name: "dpo", beta: 0.3 },
      epochs: 2,
      learningRate: 0.5,
      batchSize: 4,
    });
    expect(positive).not.toHaveProperty("steps");
    expect(positive).not.toHaveProperty("weights");
    expect(positive!.data.columns).toEqual({ chosen: "good" });
    expect(negative!.data.columns).toEqual({ chosen: "rejected", rejected: "good" });
    expect(negative).toEqual({ ...positive, output: negative!.output, data: negative!.data });
  });
});

test.each(["dpo", "sft"])("one call trains both %s models and estimates; the next finds all done", async (from) => {
  const recipe = weightedRecipe({ weights: { from, training: { steps: 3 } } });
  const first = await weighTiny(recipe);
  expect(first.status).toBe("finished");
  const { pairs } = await estimatesOf(recipe);
  expect(pairs).toHaveLength(12);
  const before = await hashes(join(recipe.output, "contrastive"));
  const again = await weighTiny(recipe);
  expect(again.notes).toEqual([
    expect.stringMatching(/^positive model: done before/),
    expect.stringMatching(/^negative model: done before/),
    "data: 12 pairs of texts",
    expect.stringMatching(/^9 training examples/),
    expect.stringMatching(/^3 held-out examples/),
    expect.stringMatching(/^the first example as tokens/),
    expect.stringMatching(/^estimates: done before/),
  ]);
  expect(await hashes(join(recipe.output, "contrastive"))).toEqual(before);
  // The contrast is what it should be: the positive model likes the chosen answers better than the
  // negative one does.
  const contrast = (side: "chosen" | "rejected") =>
    pairs.reduce((sum, pair) => {
      const { positiveLogp, negativeLogp } = pair[side];
      return sum + positiveLogp.reduce((a, b) => a + b, 0) - negativeLogp.reduce((a, b) => a + b, 0);
    }, 0);
  expect(contrast("chosen")).toBeGreaterThan(0);
  expect(contrast("rejected")).toBeLessThan(0);

  const { result, warnings, metrics } = await trainTiny(folder, trainSettings(recipe));
  expect(result.status).toBe("finished");
  expect(warnings).toEqual([]);
  expect(metrics.at(-1)).toMatchObject({ split: "evaluation", "weights/chosen": expect.any(Number) });
});

test("a stage whose inputs have changed is done again, the others are not", async () => {
  const recipe = weightedRecipe();
  await weighTiny(recipe);
  const { pairs } = await estimatesOf(recipe);
  const longer = weightedRecipe({ weights: { from: "dpo", training: { steps: 6 } } });
  const again = await weighTiny(longer);
  expect(again.notes.some((note) => note.includes("done before"))).toBe(false);
  const changed = (await estimatesOf(longer)).pairs;
  expect(changed.map(({ prompt }) => prompt)).toEqual(pairs.map(({ prompt }) => prompt));
  expect(changed[0]!.chosen.positiveLogp).not.toEqual(pairs[0]!.chosen.positiveLogp);

  await rm(estimatesFile(longer));
  const estimatedOnly = await weighTiny(longer);
  expect(estimatedOnly.notes.slice(0, 2)).toEqual([
    expect.stringMatching(/^positive model: done before/),
    expect.stringMatching(/^negative model: done before/),
  ]);
  expect((await estimatesOf(longer)).pairs).toEqual(changed);
});

test("interrupted at any stage, the next call ends with the same estimates", async () => {
  const recipe = weightedRecipe({ microbatch: { tokens: 40 } });
  await weighTiny(recipe);
  const expected = await estimatesOf(recipe);
  await rm(join(recipe.output, "contrastive"), { recursive: true });

  const heard = recordingReporter();
  for (const stopAt of [/^positive model: /, /^negative model: /]) {
    const controller = new AbortController();
    const note = (message: string) => {
      if (stopAt.test(message) && !message.includes("done before")) controller.abort();
    };
    const reporter = { ...heard.reporter, note };
    const result = await weigh(recipe, { signal: controller.signal, reporter });
    expect(result.status).toBe("stopped");
  }
  const controller = new AbortController();
  const stopped = await weigh(recipe, {
    signal: controller.signal,
    reporter: {
      ...heard.reporter,
      progress: ({ activity, done }) => void (activity === "estimating pairs" && done > 0 && controller.abort()),
    },
  });
  expect(stopped.status).toBe("stopped");
  const partial = `${estimatesFile(recipe)}.partial`;
  expect((await stat(partial)).size).toBeGreaterThan(0);
  const resumed = await weighTiny(recipe);
  expect(resumed.notes.join("\n")).toMatch(/estimates: \d+ of 12 pairs are there already/);
  const { identity, pairs } = await estimatesOf(recipe);
  expect(identity).toEqual(expected.identity);
  pairs.forEach((pair, index) => {
    for (const side of ["chosen", "rejected"] as const) {
      expect(pair[side].tokens).toEqual(expected.pairs[index]![side].tokens);
      expect(largestError(pair[side].positiveLogp, expected.pairs[index]![side].positiveLogp)).toBeLessThan(1e-5);
    }
  });
});

test("estimates are the log-probabilities of the two models, token by token", async () => {
  const other = join(folder, "other");
  await trainTiny(folder, { output: other, steps: 15, seed: 3, data: { train: data.train } });
  const recipe = weightedRecipe({ weights: { from: "models", positive: base, negative: other } });
  await weighTiny(recipe);
  const engine = onnxRuntimeEngine({ threads: 2 });
  try {
    const positive = await loadLanguageModel(engine, join(base, "model"));
    const negative = await loadLanguageModel(engine, join(other, "model"));
    for (const { prompt, chosen, rejected } of (await estimatesOf(recipe)).pairs) {
      expect(chosen.tokens.at(-1)).toBe(256);
      const example = {
        prompt,
        responses: [chosen.tokens, rejected.tokens],
        cut: { prompt: 0, responses: [0, 0] },
        place: undefined,
      };
      const objective = createObjective({ name: "dpo", beta: 1 });
      const models = { engine, policy: positive, reference: negative, objective };
      const [scored] = (await plainGradients(models, [example], 1)).scored;
      [chosen, rejected].forEach(({ positiveLogp, negativeLogp }, side) => {
        expect(largestError(positiveLogp, scored!.responses[side]!.policyLogp!)).toBeLessThan(1e-5);
        expect(largestError(negativeLogp, scored!.responses[side]!.referenceLogp!)).toBeLessThan(1e-5);
      });
    }
  } finally {
    engine.dispose();
  }
});

test("one model under two instructions", async () => {
  const weights = { from: "prompts", positive: "Good: {prompt}", negative: "Bad: {prompt}" };
  const recipe = weightedRecipe({ weights });
  await weighTiny(recipe);
  const { identity, pairs } = await estimatesOf(recipe);
  expect(identity).toMatchObject({ positive_template: "Good: {prompt}", negative_template: "Bad: {prompt}" });
  expect(identity.positive_model).toBe(identity.negative_model);
  expect(
    pairs.some(({ chosen }) => chosen.positiveLogp.some((logp, index) => logp !== chosen.negativeLogp[index])),
  ).toBe(true);
  expect((await trainTiny(folder, trainSettings(recipe))).result.status).toBe("finished");
});

test("weights that are all 1 train as DPO does", async () => {
  const weights = { from: "dpo", training: { steps: 3 }, transform: { name: "ones" } };
  const recipe = weightedRecipe({ weights });
  await weighTiny(recipe);
  const weighed = await trainTiny(folder, trainSettings(recipe));
  const plain = await trainTiny(folder, { model: base, data, objective: { name: "dpo" }, output: join(folder, "dpo") });
  const losses = (metrics: typeof plain.metrics) => metrics.map(({ loss }) => loss as number);
  expect(largestError(losses(weighed.metrics), losses(plain.metrics))).toBeLessThan(1e-6);
  const estimated = await trainTiny(folder, {
    ...trainSettings(recipe),
    weights: { from: "file", file: estimatesFile(recipe) },
    output: join(folder, "tis"),
  });
  expect(largestError(losses(estimated.metrics), losses(plain.metrics))).toBeGreaterThan(1e-4);
});

test("a run is replaced without its contrastive models, and resumes with its weights", async () => {
  const recipe = weightedRecipe();
  await weighTiny(recipe);
  const settings = { ...trainSettings(recipe), steps: 4, checkpoints: { everySteps: 2 } };
  const whole = await trainTiny(folder, settings);
  const again = await trainTiny(folder, settings, { overwrite: true });
  expect((await readdir(recipe.output)).includes("contrastive")).toBe(true);
  expect(again.metrics.map(({ loss }) => loss)).toEqual(whole.metrics.map(({ loss }) => loss));

  const controller = new AbortController();
  const heard = recordingReporter();
  const record = (...args: Parameters<typeof heard.reporter.record>) => {
    if (args[0].split === "train" && args[0].step === 2) controller.abort();
  };
  await trainTiny(folder, settings, {
    overwrite: true,
    signal: controller.signal,
    reporter: { ...heard.reporter, record },
  });
  const resumed = await trainTiny(folder, settings, { resume: true });
  expect(resumed.result.status).toBe("finished");
  expect((await readMetrics(recipe.output)).map(({ loss }) => loss)).toEqual(whole.metrics.map(({ loss }) => loss));
});

test("what goes on keeps its weights, also for longer", async () => {
  const recipe = weightedRecipe({ steps: 2 });
  await weighTiny(recipe);
  const settings = { ...trainSettings(recipe), weights: recipe.weights, checkpoints: { everySteps: 2 } };
  await trainTiny(folder, { ...settings, steps: 2 });
  const before = await hashes(join(recipe.output, "contrastive"));
  const { result } = await trainTiny(folder, { ...settings, steps: 4 }, { resume: true });
  expect(result).toMatchObject({ status: "finished", step: 4 });
  expect(await hashes(join(recipe.output, "contrastive"))).toEqual(before);
});

describe("a folder for several recipes", () => {
  const training = { steps: 3 };

  test("serves those that differ in what comes after", async () => {
    const weights = { from: "dpo", training, folder: join(folder, "shared") };
    await weighTiny(weightedRecipe({ weights }));
    const transform = { name: "rank" };
    const other = {
      weights: { ...weights, transform },
      output: join(folder, "other run"),
      objective: { name: "tdpo2" },
    };
    const { notes } = await weighTiny(weightedRecipe(other));
    expect(notes.filter((note) => note.includes("done before"))).toHaveLength(3);
  });

  test.each<[Settings, RegExp]>([
    [
      { objective: { name: "tis-dpo", beta: 0.3 } },
      /holds a positive model of other inputs: objective was .*0\.1.*, is .*0\.3/,
    ],
    [{ learningRate: 0.5 }, /learningRate was 0\.01, is 0\.5; name another `weights\.folder`/],
    [{ data: { heldOut: 5 } }, /training data was [0-9a-f]+, is/],
  ])("is not taken from another: %o", async (changes, message) => {
    const weights = { from: "dpo", training, folder: join(folder, "shared") };
    await weighTiny(weightedRecipe({ weights }));
    const before = await hashes(join(folder, "shared"));
    const changed = { ...changes, ...("data" in changes ? { data: { ...data, ...(changes.data as Settings) } } : {}) };
    const error = await weighTiny(weightedRecipe({ weights, ...changed })).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toMatch(message);
    expect(await hashes(join(folder, "shared"))).toEqual(before);
  });
});

test("what is damaged or of other inputs is made again", async () => {
  const recipe = weightedRecipe();
  await weighTiny(recipe);
  const expected = await estimatesOf(recipe);
  const contrastive = join(recipe.output, "contrastive");
  await rm(estimatesFile(recipe));
  await writeFile(`${estimatesFile(recipe)}.partial`, "nonsense");
  const { notes } = await weighTiny(recipe);
  expect(notes).toContain("unfinished estimates of other inputs are begun again");
  expect(await estimatesOf(recipe)).toEqual(expected);
  for (const content of ["null", "{", '{"positive": 3}']) {
    await writeFile(join(contrastive, "stages.json"), content);
    expect((await weighTiny(recipe)).status).toBe("finished");
  }
  expect(await estimatesOf(recipe)).toEqual(expected);
});

describe("refusals, one clear error each", () => {
  async function refusal(work: Promise<unknown>): Promise<string> {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof UserError)) throw error ?? new Error("nothing was refused");
    return error.message;
  }

  test("weights of other tokens name the first pair", async () => {
    const recipe = weightedRecipe();
    await weighTiny(recipe);
    const records = pairRecords(12);
    records[7] = { ...records[7]!, chosen: " yes, and more" };
    const train = await writeJsonLines(join(folder, "other.jsonl"), records);
    const weights = { from: "file", file: estimatesFile(recipe) };
    const message = await refusal(
      trainTiny(folder, { ...trainSettings(recipe), weights, data: { train }, output: join(folder, "x") }),
    );
    expect(message).toMatch(
      /has no weights for 1 of 12 pairs; the first is .*other\.jsonl:8; closest is pair \d+ of the weights: at token 5 of its chosen the data has 44, the weights 33/,
    );
    expect(await readdir(folder)).not.toContain("x");
  });

  test("estimates that are missing", async () => {
    expect(await refusal(trainTiny(folder, trainSettings(weightedRecipe())))).toMatch(
      /there are no estimates.*tokenwise weigh/,
    );
  });

  test("another vocabulary, another tokenizer", async () => {
    const other = join(folder, "other");
    await trainTiny(folder, {
      output: other,
      steps: 1,
      data: { train: data.train },
      init: {
        architecture: "llama",
        width: 16,
        layers: 1,
        heads: 2,
        feedForwardWidth: 24,
        contextLength: 64,
        vocabularySize: 300,
      },
    });
    const recipe = weightedRecipe({ weights: { from: "models", positive: base, negative: other } });
    expect(await refusal(weighTiny(recipe))).toMatch(
      /weights\.negative: has a vocabulary of 300 tokens, the model to train has 257/,
    );

    const same = join(folder, "same");
    await trainTiny(folder, { output: same, steps: 1, data: { train: data.train } });
    const tokenizer = join(same, "model", "tokenizer.json");
    const swapped = { '"a":': '"b":', '"b":': '"a":' } as Record<string, string>;
    const text = await readFile(tokenizer, "utf8");
    await writeFile(
      tokenizer,
      text.replace(/"[ab]":/g, (key) => swapped[key]!),
    );
    const foreign = weightedRecipe({ weights: { from: "models", positive: base, negative: same } });
    expect(await refusal(weighTiny(foreign))).toMatch(
      /weights\.negative: means other tokens by the same ids than the model to train: its token \d+ is "[ab]", not "[ab]"/,
    );
  });

  test.each([
    [
      { from: "prompts", positive: `${"very ".repeat(20)}{prompt}`, negative: "{prompt}" },
      /with its instruction a pair has \d+ tokens, the model's context is 64/,
    ],
    [{ from: "file", file: "x.safetensors" }, /names estimates that are there already/],
    [{ from: "models", positive: "nowhere", negative: "nowhere" }, /nowhere/],
    [{ from: "prompts", positive: "{prompt}", negative: "{prompt}" }, /both contrastive models are the same/],
  ])("%o", async (weights, message) => {
    expect(await refusal(weighTiny(weightedRecipe({ weights })))).toMatch(message);
  });

  test.each([
    [{ weights: null }, /weights: is missing: tis-dpo weighs tokens/],
    [{ objective: { name: "sft" } }, /sft weighs no tokens/],
    [{ weights: { from: "nothing" } }, /weights\.from/],
    [{ weights: { from: "prompts", positive: "Good:", negative: "{prompt}" } }, /positive: holds `\{prompt\}` nowhere/],
    [{ weights: { from: "prompts", positive: "{prompt} {prompt}", negative: "{prompt}" } }, /more than once/],
    [{ weights: { from: "prompts", positive: "Good: {prompt}" } }, /weights\.negative: is missing/],
    [{ weights: { from: "prompts", preset: "harmless", positive: "{prompt}" } }, /already gives both/],
    [{ model: null, init, tokenizer: "bytes" }, /init: weights need a model to begin with/],
    [{ weights: { from: "sft", training: { beta: 1 } } }, /supervised fine-tuning has no beta/],
    [{ weights: { from: "sft", training: { epochs: 1, steps: 1 } } }, /`epochs` already says how long/],
    [{ weights: { from: "dpo", transform: { name: "exp-clamp", lower: 2 } } }, /2 is not below upper, 1.5/],
    [{ weights: { from: "dpo", transform: { name: "rank", least: 2 } } }, /2 is above most, 1.3/],
  ])("in the recipe: %o", (changes, message) => {
    expect(() => weightedRecipe(changes)).toThrow(message);
  });
});

test("instructions around conversations are refused, for they go around texts", async () => {
  const records = ["A", "B"].map((content) => {
    const [chosen, rejected] = ["yes", "no"].map((text) => [{ role: "assistant", content: text }]);
    return { prompt: [{ role: "user", content }], chosen, rejected };
  });
  const file = join(folder, "conversations.jsonl");
  await writeFile(file, records.map((record) => JSON.stringify(record)).join("\n"));
  const recipe = weightedRecipe({
    weights: { from: "prompts", preset: "helpful" },
    data: { train: file, template: "chatml" },
  });
  await expect(weighTiny(recipe)).rejects.toThrow(
    /weights\.from: .*the data are conversations; use dpo, sft or models/,
  );
});
