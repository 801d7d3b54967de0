/** Whole runs of tiny models, from a recipe to the model folder. */
import { appendFile, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { packBatch } from "../src/data/batch.ts";
import type { TokenizedExample } from "../src/data/example.ts";
import { readPairs } from "../src/data/forms/pairs.ts";
import type { ExampleSource } from "../src/data/source.ts";
import { tokenizePairs } from "../src/data/tokenize.ts";
import { loadTokenizer } from "../src/data/tokens/load-tokenizer.ts";
import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import { UserError } from "../src/errors.ts";
import { createObjective } from "../src/objectives/index.ts";
import { parseRecipe } from "../src/recipe/parse.ts";
import type { MetricsRecord } from "../src/report.ts";
import { Learner } from "../src/step/learner.ts";
import { Optimizer } from "../src/step/optimizer.ts";
import { Trainer } from "../src/step/trainer.ts";
import { openModelFolder } from "../src/storage/folder.ts";
import { loadLanguageModel } from "../src/storage/load-model.ts";
import { trainLoop } from "../src/train/loop.ts";
import { trainRun } from "../src/train/run.ts";
import {
  hashes,
  pairRecords,
  readMetrics,
  recordingReporter,
  type Settings,
  temporaryFolder,
  timeless,
  tinyRecipe,
  trainTiny,
  weightsHash,
  writeJsonLines,
} from "./helpers/runs.ts";
import { randomExamples, tinyConfiguration, tinyModel } from "./helpers/tiny.ts";

let folder: string;
let data: Settings;

beforeEach(async () => {
  folder = await temporaryFolder();
  data = { train: await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(12)) };
});

/** Examples in memory, one after another without end, in no files and no order of a seed. */
function cycling(examples: readonly TokenizedExample[]): ExampleSource {
  let taken = 0;
  return {
    epochLength: examples.length,
    async next(count) {
      const batch = Array.from({ length: count }, () => examples[taken++ % examples.length]!);
      return { examples: batch, position: { epoch: 0, index: taken } };
    },
  };
}

/** A run of supervised training that the others start from. */
async function firstStage(): Promise<string> {
  const output = join(folder, "sft");
  await trainTiny(folder, { output, steps: 10 });
  return output;
}

const losses = (metrics: readonly MetricsRecord[]) =>
  metrics.filter(({ split }) => split === "train").map(({ loss }) => loss as number);
const of = (metrics: readonly MetricsRecord[], split: MetricsRecord["split"]) =>
  metrics.filter((record) => record.split === split);

describe("supervised training", () => {
  test.each([{ name: "sft" }, { name: "sft", mean: "sequences" }])(
    "on the chosen answers of pairs, %o",
    async (objective) => {
      const { recipe, result, metrics, notes } = await trainTiny(folder, { objective, epochs: 10, steps: null });
      expect(result).toEqual({
        status: "finished",
        step: 30,
        model: join(recipe.output, "model"),
        checkpoint: join(recipe.output, "checkpoints", "step-00000030"),
      });
      expect(losses(metrics)).toHaveLength(30);
      expect(losses(metrics).at(-1)!).toBeLessThan(0.3 * losses(metrics)[0]!);
      expect(notes.at(-1)).toBe("sft: 30 steps of 4 examples");
      const model = await openModelFolder(result.model!);
      expect(model.configuration).toMatchObject({ width: 16, layers: 2, contextLength: 64, vocabularySize: 257 });
      expect((await loadTokenizer(result.model!)).eosId).toBe(256);
      const resolved = parseRecipe(await readFile(join(recipe.output, "recipe.yaml"), "utf8"), "recipe.yaml");
      expect(resolved).toEqual(recipe);
      expect((await readdir(recipe.output)).sort()).toEqual(["checkpoints", "metrics.jsonl", "model", "recipe.yaml"]);
    },
  );

  test.each([{ pack: false }, { pack: true, maxLength: 16 }])("on texts, %o", async (options) => {
    const texts = Array.from({ length: 9 }, (_, index) => ({ text: `text ${"ab".repeat(index + 1)}` }));
    const train = await writeJsonLines(join(folder, "texts.jsonl"), texts);
    const { metrics } = await trainTiny(folder, { data: { train, format: "text", heldOut: 2, ...options }, steps: 20 });
    expect(losses(metrics).at(-1)!).toBeLessThan(0.5 * losses(metrics)[0]!);
    const [first, last] = of(metrics, "evaluation");
    expect(last!.loss).toBeLessThan(0.7 * (first!.loss as number));
  });

  test("stores the model in bfloat16 if asked, checkpoints never", async () => {
    const { result } = await trainTiny(folder, { dtype: "bfloat16" });
    const dtypes = async (path: string) =>
      new Set([...(await openModelFolder(path)).parameters.values()].map(({ dtype }) => dtype));
    expect(await dtypes(result.model!)).toEqual(new Set(["BF16"]));
    expect(await dtypes(join(result.checkpoint!, "model"))).toEqual(new Set(["F32"]));
  });
});

describe("preference training", () => {
  test.each([
    { name: "dpo", beta: 0.5 },
    { name: "dpo", beta: 0.5, labelSmoothing: 0.1 },
    { name: "ipo", beta: 0.2 },
    { name: "tdpo1", beta: 0.5 },
    { name: "tdpo2", beta: 0.5 },
  ])("lowers the loss from a run's model: %o", async (objective) => {
    const model = await firstStage();
    const before = await hashes(model);
    const { result, metrics } = await trainTiny(folder, {
      ...{ model, objective, steps: 15, learningRate: 0.003 },
      data: { ...data, heldOut: 3 },
      evaluation: { everySteps: 6 },
    });
    expect(await hashes(model)).toEqual(before);
    expect((await openModelFolder(result.model!)).path).toBe(result.model);
    const evaluations = of(metrics, "evaluation");
    expect(evaluations.map(({ step }) => step)).toEqual([0, 6, 12, 15]);
    expect(evaluations[0]).toMatchObject({
      examples: 3,
      "rewards/accuracies": 0.5,
      "plain_rewards/accuracies": 0.5,
      "rewards/margins": 0,
      "seq_kl/chosen": 0,
      "seq_kl/rejected": 0,
      "seq_kl/margins": 0,
    });
    expect(evaluations[3]!.loss).toBeLessThan(evaluations[0]!.loss as number);
    expect(evaluations[3]!["plain_rewards/accuracies"]).toBe(1);
    expect(evaluations[3]!["seq_kl/chosen"]).toBeGreaterThan(0);
    // The reference stays what it was: of the same pairs it says the same at every evaluation.
    for (const { "ref_logps/chosen": logp } of evaluations) expect(logp).toBe(evaluations[0]!["logps/chosen"]);
    expect(
      losses(metrics)
        .slice(-5)
        .reduce((a, b) => a + b),
    ).toBeLessThan(
      losses(metrics)
        .slice(0, 5)
        .reduce((a, b) => a + b),
    );
  });

  test("without a reference, reference-free DPO logs no figures of one", async () => {
    const { metrics } = await trainTiny(folder, {
      ...{ reference: "none", steps: 6, data: { ...data, heldOut: 2 } },
      objective: { name: "dpo", referenceFree: true },
    });
    const names = Object.keys(metrics.at(-1)!);
    expect(names).toContain("logps/chosen");
    expect(names.filter((name) => /^(ref_logps|seq_kl|plain_rewards)/.test(name))).toEqual([]);
  });

  test("compares with another model folder, or a run of it", async () => {
    const model = await firstStage();
    const other = join(folder, "other");
    await trainTiny(folder, { output: other, seed: 7, init: { ...larger } });
    const options = { model, objective: { name: "tdpo2" }, data: { ...data, heldOut: 2 }, steps: 1 };
    for (const [output, reference] of [
      [join(folder, "a"), other],
      [join(folder, "b"), join(other, "model")],
    ]) {
      const { metrics } = await trainTiny(folder, { ...options, output, reference });
      expect(metrics[0]!["seq_kl/chosen"]).toBeGreaterThan(0.1);
      expect(metrics[0]!["ref_logps/chosen"]).not.toBe(metrics[0]!["logps/chosen"]);
    }
    const metrics = await Promise.all(["a", "b"].map((name) => readMetrics(join(folder, name))));
    expect(timeless(metrics[0]!)).toEqual(timeless(metrics[1]!));
  });
});

const larger = {
  ...{ architecture: "llama", width: 24, layers: 1, heads: 2, feedForwardWidth: 16, contextLength: 64 },
  standardDeviation: 0.1,
};

describe("figures", () => {
  test("are means over exactly the pairs they cover, whatever the microbatches", async () => {
    const model = await firstStage();
    const common = {
      ...{ model, objective: { name: "tdpo2", beta: 0.3 }, steps: null, examples: 10, microbatch: { examples: 3 } },
    };
    const single = await trainTiny(folder, { ...common, output: join(folder, "single") });
    const joined = await trainTiny(folder, { ...common, output: join(folder, "joined"), logging: { everySteps: 3 } });
    expect(single.metrics.map(({ examples }) => examples)).toEqual([4, 8, 10]);
    expect(joined.metrics).toHaveLength(1);
    const [all] = joined.metrics;
    expect(all).toMatchObject({ split: "train", step: 3, examples: 10, epoch: 0.833333 });
    const weights = [4, 4, 2];
    for (const name of Object.keys(all!).filter((key) =>
      /^(loss|rewards|plain_rewards|logps|ref_logps|seq_kl)/.test(key),
    )) {
      const sum = single.metrics.reduce(
        (total, record, index) => total + weights[index]! * (record[name] as number),
        0,
      );
      expect(all![name], name).toBeCloseTo(sum / 10, 10);
    }
    const norms = single.metrics.map((record) => record.grad_norm as number);
    expect(all!.grad_norm).toBeCloseTo(norms.reduce((a, b) => a + b) / 3, 10);
  });

  test("of an evaluation equal those computed pair by pair", async () => {
    const start = await firstStage();
    const evaluation = await writeJsonLines(join(folder, "evaluation.jsonl"), pairRecords(7, "Tell "));
    const { metrics, result } = await trainTiny(folder, {
      ...{ model: start, objective: { name: "tdpo2", beta: 0.3 }, steps: 6 },
      data: { ...data, evaluation },
      microbatch: { tokens: 50, examples: 4 },
    });
    const engine = onnxRuntimeEngine({ threads: 2 });
    const policy = await loadLanguageModel(engine, result.model!);
    const reference = await loadLanguageModel(engine, join(start, "model"), { like: policy });
    const objective = createObjective({ name: "tdpo2", beta: 0.3, alpha: 0.5 });
    const learner = new Learner({ engine, policy, reference, objective });
    const { examples } = await tokenizePairs((await readPairs(evaluation)).pairs, await loadTokenizer(result.model!));
    const sum = (vector: Float64Array | undefined) => [...vector!].reduce((a, b) => a + b, 0);
    const rows = [];
    for (const example of examples) {
      const [{ responses }] = (await learner.evaluate(packBatch([example]))) as [
        Awaited<ReturnType<Learner["evaluate"]>>[number],
      ];
      const [chosen, rejected] = responses.map((one) => ({
        logp: sum(one.policyLogp),
        ratio: sum(one.policyLogp) - sum(one.referenceLogp),
        kl: sum(one.klReferencePolicy),
      }));
      const margin = 0.3 * (chosen!.ratio - rejected!.ratio - 0.5 * (rejected!.kl - chosen!.kl));
      rows.push({
        loss: Math.log1p(Math.exp(-margin)),
        "rewards/chosen": 0.3 * (chosen!.ratio + chosen!.kl),
        "rewards/accuracies": Number(chosen!.ratio + chosen!.kl > rejected!.ratio + rejected!.kl),
        "plain_rewards/margins": 0.3 * (chosen!.ratio - rejected!.ratio),
        "plain_rewards/accuracies": Number(chosen!.ratio > rejected!.ratio),
        "logps/rejected": rejected!.logp,
        "seq_kl/chosen": chosen!.kl,
        "seq_kl/margins": chosen!.kl - rejected!.kl,
      });
    }
    const last = of(metrics, "evaluation").at(-1)!;
    expect(last).toMatchObject({ examples: 7, step: 6 });
    for (const name of Object.keys(rows[0]!) as (keyof (typeof rows)[0])[]) {
      expect(last[name], name).toBeCloseTo(rows.reduce((total, row) => total + row[name], 0) / 7, 5);
    }
  });
});

describe("how long and how fast", () => {
  test.each([
    [{ epochs: 1.5 }, [4, 8, 12, 16, 18]],
    [{ steps: 4 }, [4, 8, 12, 16]],
    [{ examples: 6 }, [4, 6]],
  ])("%o", async (length, examples) => {
    const { metrics } = await trainTiny(folder, { steps: null, ...length });
    expect(metrics.map((record) => record.examples)).toEqual(examples);
    expect(metrics.at(-1)!.epoch).toBeCloseTo(examples.at(-1)! / 12, 5);
  });

  test("an epoch has every example once", async () => {
    // Nothing is learned at this rate, so one epoch in three steps says the same as one in a single
    // step.
    const [three, one] = [
      await trainTiny(folder, { output: join(folder, "three"), steps: 3, learningRate: 1e-30 }),
      await trainTiny(folder, { output: join(folder, "one"), steps: 1, batchSize: 12, learningRate: 1e-30 }),
    ];
    const sums = three.metrics.map((record) => (record.loss as number) * (record.tokens_per_response as number) * 4);
    const whole = (one.metrics[0]!.loss as number) * (one.metrics[0]!.tokens_per_response as number) * 12;
    expect(sums.reduce((a, b) => a + b)).toBeCloseTo(whole, 3);
  });

  test("the learning rate warms up and falls", async () => {
    const { metrics } = await trainTiny(folder, { steps: 6, learningRate: 0.01, warmupSteps: 2, schedule: "cosine" });
    const expected = [1 / 3, 2 / 3, 1, ...[1, 2, 3].map((step) => 0.5 * (1 + Math.cos((Math.PI * step) / 4)))];
    for (const [index, { learning_rate: rate }] of metrics.entries())
      expect(rate, `step ${index}`).toBeCloseTo(0.01 * expected[index]!, 12);
  });

  test.each([{ name: "adamw", weightDecay: 0.1 }, { name: "rmsprop" }])("optimizer %o", async (optimizer) => {
    const { metrics, result } = await trainTiny(folder, { optimizer, steps: 12 });
    expect(losses(metrics).at(-1)!).toBeLessThan(0.7 * losses(metrics)[0]!);
    expect(result.status).toBe("finished");
  });
});

describe("held-out data", () => {
  test("is split by prompt", async () => {
    const records = pairRecords(12).flatMap((pair) => [pair, { ...pair, chosen: " sure", rejected: " never" }]);
    await writeJsonLines(join(folder, "pairs.jsonl"), records);
    const { notes, warnings } = await trainTiny(folder, { data: { ...data, heldOut: 5 }, steps: 1 });
    // Prompts are taken whole.
    expect(notes[1]).toMatch(/^18 training examples/);
    expect(notes[2]).toMatch(/^6 held-out examples/);
    expect(warnings).toEqual([]);
  });

  test("of its own file is warned of where it shares prompts, and where only a part is used", async () => {
    const evaluation = await writeJsonLines(join(folder, "evaluation.jsonl"), [
      ...pairRecords(2),
      ...pairRecords(3, "Tell "),
    ]);
    const { notes, warnings, metrics } = await trainTiny(folder, {
      ...{ data: { ...data, evaluation }, evaluation: { examples: 4, atStart: false }, steps: 1 },
    });
    expect(warnings).toEqual(["2 of 5 evaluation pairs have a prompt that the training pairs have too"]);
    expect(notes).toContain("evaluation takes the first 4 of the 5 held-out examples");
    expect(of(metrics, "evaluation").map(({ step, examples }) => [step, examples])).toEqual([[1, 4]]);
  });

  test("a small share of texts is at least one", async () => {
    const train = await writeJsonLines(join(folder, "texts.jsonl"), [
      { text: "one" },
      { text: "two" },
      { text: "six" },
    ]);
    const { notes } = await trainTiny(folder, { data: { train, format: "text", heldOut: 0.01 }, steps: 1 });
    expect(notes[2]).toMatch(/^1 held-out example;/);
  });
});

test("a model that learns conversations by a plain template keeps that template", async () => {
  const turns = (text: string) => [
    { role: "user", content: "Q" },
    { role: "assistant", content: text },
  ];
  const train = join(folder, "conversations.jsonl");
  const records = ["a", "b", "c"].map((text) => ({ chosen: turns(text), rejected: turns(`no ${text}`) }));
  await writeFile(train, records.map((record) => JSON.stringify(record)).join("\n"));
  const { notes } = await trainTiny(folder, { data: { train, template: "chatml" } });
  expect(notes[0]).toBe("data: 3 pairs of conversations");
  const template = await readFile(join(folder, "run", "model", "chat_template.jinja"), "utf8");
  expect(template).toContain("<|im_start|>");
});

test("bad records are left out if asked, and named", async () => {
  const bad = Array.from({ length: 12 }, () => ({ prompt: "x", chosen: "same", rejected: "same" }));
  await writeJsonLines(join(folder, "pairs.jsonl"), [...pairRecords(2), ...bad]);
  const { warnings, notes } = await trainTiny(folder, { data: { ...data, onBadPair: "skip" }, steps: 1 });
  const lines = warnings[0]!.split("\n");
  expect(lines[0]).toBe("skipped 12 bad records:");
  expect(lines[1]).toContain("pairs.jsonl:3: rejected: the same text");
  expect(lines).toHaveLength(12);
  expect(lines.at(-1)).toBe("  … and 2 more");
  expect(notes[1]).toMatch(/^2 training examples/);
});

test("a dry run writes nothing", async () => {
  const { result, notes } = await trainTiny(folder, {}, { dryRun: true });
  expect(result).toEqual({ status: "checked", step: 0 });
  expect(notes.at(-1)).toBe("sft: 4 steps of 4 examples");
  expect(await readdir(folder)).toEqual(["pairs.jsonl"]);
});

describe("chance", () => {
  test("equal seeds give equal bits, others do not", async () => {
    const runs = [];
    for (const [name, seed] of Object.entries({ one: 3, two: 3, three: 4 }))
      runs.push(await trainTiny(folder, { output: join(folder, name), seed, data: { ...data, heldOut: 2 } }));
    const [one, two, three] = await Promise.all(runs.map(({ result }) => weightsHash(result.model!)));
    expect(one).toBe(two);
    expect(timeless(runs[0]!.metrics)).toEqual(timeless(runs[1]!.metrics));
    expect(one).not.toBe(three);
  });

  test("the seed orders the data even where the model is given", async () => {
    const model = await firstStage();
    const [one, two] = [
      await trainTiny(folder, { model, output: join(folder, "one"), seed: 1 }),
      await trainTiny(folder, { model, output: join(folder, "two"), seed: 2 }),
    ];
    expect(losses(one.metrics)).not.toEqual(losses(two.metrics));
  });

  test.each<[string, Settings]>([
    ["microbatches", { microbatch: { examples: 1 } }],
    ["activation checkpointing", { activationCheckpointing: true }],
  ])("%s change only the rounding", async (_, changes) => {
    const model = await firstStage();
    const common = { model, objective: { name: "tdpo2", beta: 0.3 }, steps: 3 };
    const plain = await trainTiny(folder, { ...common, output: join(folder, "plain") });
    const other = await trainTiny(folder, { ...common, output: join(folder, "other"), ...changes });
    for (const [index, loss] of losses(plain.metrics).entries())
      expect(losses(other.metrics)[index]).toBeCloseTo(loss, 3);
    expect(losses(other.metrics)[0]).toBeCloseTo(losses(plain.metrics)[0]!, 6);
    expect(other.metrics[0]!.grad_norm).toBeCloseTo(plain.metrics[0]!.grad_norm as number, 3);
  });
});

describe("resuming", () => {
  const settings = () => ({
    ...{ objective: { name: "tdpo2" }, steps: 7, data: { ...data, heldOut: 3 } },
    ...{ evaluation: { everySteps: 2 }, checkpoints: { everySteps: 3 }, warmupSteps: 2, schedule: "cosine" },
  });

  /** The final weights, optimizer and figures of an uninterrupted run. */
  async function straight(changes: Settings = {}) {
    const { result, metrics } = await trainTiny(folder, {
      ...settings(),
      ...changes,
      output: join(folder, "straight"),
    });
    return { result, metrics: timeless(metrics) };
  }

  async function expectSame(whole: Awaited<ReturnType<typeof straight>>, run: string): Promise<void> {
    expect(timeless(await readMetrics(run))).toEqual(whole.metrics);
    expect(await weightsHash(join(run, "model"))).toBe(await weightsHash(whole.result.model!));
    const checkpoint = join(run, "checkpoints", "step-00000007");
    expect(await hashes(checkpoint)).toEqual(await hashes(whole.result.checkpoint!));
    expect(await readdir(join(run, "checkpoints"))).toEqual(["step-00000007"]);
  }

  /** Aborts when the run has reached something. */
  function abortAt(reached: (state: { activity: string; done: number; total: number }, steps: number) => boolean) {
    const controller = new AbortController();
    let steps = 0;
    const reporter = {
      ...recordingReporter().reporter,
      progress: (state: { activity: string; done: number; total: number }) => {
        if (state.activity === "train") steps = state.done;
        if (reached(state, steps)) controller.abort();
      },
    };
    return { reporter, signal: controller.signal };
  }

  test.each([
    ["after a step", {}, abortAt(({ activity, done }) => activity === "train" && done === 5), 5],
    ["in the evaluation at the start", { microbatch: { examples: 1 } }, abortAt((_, steps) => steps === 0), 0],
    [
      "in an evaluation on the way",
      { microbatch: { examples: 1 } },
      abortAt(({ activity }, steps) => activity === "evaluation" && steps === 4),
      4,
    ],
    ["at the end of an evaluation", {}, abortAt(({ activity }, steps) => activity === "evaluation" && steps === 4), 4],
    [
      "in the last evaluation",
      { microbatch: { examples: 1 } },
      abortAt(({ activity }, steps) => activity === "evaluation" && steps === 7),
      7,
    ],
  ])("a run stopped %s ends as if it had not been", async (_, changes, interruption, step) => {
    const whole = await straight(changes);
    const options = { ...settings(), ...changes };
    const stopped = await trainTiny(folder, options, interruption);
    const checkpoint = join(folder, "run", "checkpoints", `step-0000000${step}`);
    expect(stopped.result).toEqual({ status: "stopped", step, checkpoint });
    expect((await openModelFolder(join(checkpoint, "model"))).configuration.width).toBe(16);
    const resumed = await trainTiny(folder, options, { resume: true });
    expect(resumed.result).toMatchObject({ status: "finished", step: 7 });
    expect(resumed.notes).toContain(`resumed at step ${step}`);
    await expectSame(whole, join(folder, "run"));
  });

  test.each([1, 2])("a run killed behind a checkpoint does not repeat records (every %i steps)", async (everySteps) => {
    const changes = { logging: { everySteps } };
    const whole = await straight(changes);
    const options = { ...settings(), ...changes };
    const dies = { ...recordingReporter().reporter };
    dies.record = ({ step, split }) => {
      if (step === 6 && split === "train") throw new Error("the process is gone");
    };
    await expect(trainTiny(folder, options, { reporter: dies })).rejects.toThrow("the process is gone");
    const run = join(folder, "run");
    expect((await readMetrics(run)).at(-1)).toMatchObject({ step: 6 });
    await appendFile(join(run, "metrics.jsonl"), '{"split":"train","step":3,"lo');
    await writeFile(join(run, "checkpoints", "step-00000004.tmp-01234567-1-0123abcd"), "cut off");
    await trainTiny(folder, options, { resume: true });
    await expectSame(whole, run);
    const steps = of(await readMetrics(run), "train").map(({ step }) => step);
    expect(new Set(steps).size).toBe(steps.length);
  });

  test("a run that is finished has nothing left to do, or goes on for longer", async () => {
    const whole = await straight();
    const before = await hashes(join(folder, "straight"));
    await trainTiny(folder, { ...settings(), output: join(folder, "straight") }, { resume: true });
    const after = await hashes(join(folder, "straight"));
    expect(after).toEqual(before);
    const longer = { ...settings(), schedule: "constant", output: join(folder, "longer") };
    await trainTiny(folder, { ...longer, steps: 3 });
    const { result, metrics } = await trainTiny(folder, { ...longer, steps: 7 }, { resume: true });
    expect(result.step).toBe(7);
    expect(of(metrics, "train").map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(whole.result.step).toBe(7);
  });

  test("aborted before the first step, nothing is written", async () => {
    const { result } = await trainTiny(folder, {}, { signal: AbortSignal.abort() });
    expect(result).toEqual({ status: "stopped", step: 0 });
    expect(await readdir(folder)).toEqual(["pairs.jsonl"]);
  });

  test("keeps as many checkpoints as asked", async () => {
    await trainTiny(folder, { steps: 5, checkpoints: { everySteps: 1, keep: 2 } });
    expect(await readdir(join(folder, "run", "checkpoints"))).toEqual(["step-00000004", "step-00000005"]);
  });

  describe("is refused", () => {
    const run = () => join(folder, "run");
    beforeEach(async () => {
      await trainTiny(folder, { steps: 2 });
    });

    /** The run's folder stays as it was. */
    async function expectRefusal(changes: Settings, resume: boolean, message: string): Promise<void> {
      const before = await hashes(folder);
      const attempt = trainTiny(folder, { steps: 4, ...changes }, { resume });
      await expect(attempt).rejects.toBeInstanceOf(UserError);
      await expect(attempt).rejects.toThrow(message);
      expect(await hashes(folder)).toEqual(before);
    }

    test.each<[Settings, string]>([
      [
        { learningRate: 0.02 },
        "recipe.yaml: learningRate: the run began with 0.01, not 0.02; resume with the same recipe",
      ],
      [{ objective: { name: "dpo", beta: 0.1 } }, 'recipe.yaml: objective.name: the run began with "sft", not "dpo"'],
      [{ data: { train: "other.jsonl" } }, "recipe.yaml: data.train: the run began with"],
      [{ optimizer: { name: "adamw", beta2: 0.9 } }, "optimizer.beta2: the run began with 0.999, not 0.9"],
      [{ seed: 1 }, "seed: the run began with 0, not 1"],
      [{ reference: "none" }, 'reference: the run began with nothing, not "none"'],
    ])("with %o", async (changes, message) => {
      await expectRefusal(changes, true, message);
    });

    test("with other data in the same file", async () => {
      await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(13).slice(1));
      await expectRefusal(
        {},
        true,
        "the training data or their weights have changed since the run began; resume with the same data",
      );
    });

    test("without --resume where there is a run", async () => {
      await expectRefusal(
        {},
        false,
        "already holds a run; continue it with `resume`, replace it with `overwrite`, or choose another `output`",
      );
    });

    test("where there is none", async () => {
      await expectRefusal({ output: join(folder, "none") }, true, "there is no run to resume");
    });

    test("without a checkpoint", async () => {
      await rm(join(run(), "checkpoints"), { recursive: true });
      await expectRefusal({}, true, "there is no checkpoint to resume from");
    });

    test.each<[string, string, string]>([
      ["recipe.yaml", "steps: [", "recipe.yaml:2:1: not valid YAML"],
      ["recipe.yaml", "", "is not a recipe"],
      ["checkpoints/step-00000002/progress.json", "{}", "is not the progress of a run"],
      ["checkpoints/step-00000002/progress.json", "{", "progress.json:2:1: not valid JSON"],
      ["checkpoints/step-00000002/optimizer.safetensors", "cut", "not a safetensors file"],
      ["checkpoints/step-00000002/model/model.safetensors", "cut", "not a safetensors file"],
    ])("with a broken %s: %s", async (file, content, message) => {
      await writeFile(join(run(), file), `${content}${content ? "\n" : ""}`);
      await expectRefusal({}, true, message);
    });

    test("where the model's folder holds something else", async () => {
      await writeFile(join(run(), "model", "notes.txt"), "mine");
      await expectRefusal({}, true, "replacing the folder would delete notes.txt");
    });
  });
});

describe("a training that diverges", () => {
  /** With a learning rate that recipes may not have. */
  const trainWith = (learningRate: number, changes: Settings) =>
    trainRun({ ...parseRecipe(tinyRecipe(folder, { ...changes, steps: 20 }), "recipe.yaml"), learningRate });

  test("is one error, and the checkpoints before it stay and load", async () => {
    const model = await firstStage();
    const attempt = trainWith(1e30, { model, checkpoints: { everySteps: 1 } });
    await expect(attempt).rejects.toBeInstanceOf(UserError);
    await expect(attempt).rejects.toThrow(/^the training has diverged in step \d+ \(loss .*NaN.*lower `learningRate`/);
    const checkpoints = await readdir(join(folder, "run", "checkpoints"));
    expect(checkpoints.length).toBeGreaterThan(0);
    const engine = onnxRuntimeEngine({ threads: 2 });
    for (const checkpoint of checkpoints)
      await loadLanguageModel(engine, join(folder, "run", "checkpoints", checkpoint, "model"));
    for (const record of await readMetrics(join(folder, "run"))) expect(record.loss).not.toBeNull();
  });

  test.each([1, 2])("saves no ruined weights (a checkpoint every %i steps)", async (everySteps) => {
    // The first update makes the weights infinite.
    const attempt = trainWith(1e300, { checkpoints: { everySteps } });
    await expect(attempt).rejects.toBeInstanceOf(UserError);
    await expect(attempt).rejects.toThrow(/the training has diverged.*learning ?rate/i);
    expect((await hashes(join(folder, "run")))["metrics.jsonl"]).toBeDefined();
    const left = await readdir(join(folder, "run"), { recursive: true });
    expect(left.filter((name) => /model|tmp/.test(name))).toEqual([]);
  });
});

test("many steps take no more memory than a few", async () => {
  const engine = onnxRuntimeEngine({ threads: 2 });
  const policy = tinyModel(engine, tinyConfiguration(), 1);
  const reference = tinyModel(engine, tinyConfiguration(), 1, policy);
  const recipe = parseRecipe(tinyRecipe(folder, { objective: { name: "tdpo2" }, steps: 220 }), "recipe.yaml");
  const objective = createObjective(recipe.objective);
  const trainer = new Trainer({
    ...{ engine, policy, reference, objective, schedule: { learningRate: 1e-4 } },
    optimizer: new Optimizer(engine, recipe.optimizer, policy.trainable),
    ...{ totalSteps: 220, maxGradientNorm: 10, microbatch: { tokens: 60 } },
  });
  // Batches of ever other shapes.
  const lengths = Array.from({ length: 50 }, (_, index): [number, number, number] => [
    ...([1 + (index % 7), 2 + ((index * 3) % 11), 2 + ((index * 5) % 13)] as const),
  ]);
  const used: { step: number; allocated: number; resident: number }[] = [];
  await trainLoop({
    ...{ recipe, objective, trainer, source: cycling(randomExamples(1, lengths)), heldOut: [] },
    ...{ totalExamples: 880, totalSteps: 220 },
    start: { step: 0, examples: 0, position: { epoch: 0, index: 0 }, data: "" },
    evaluated: false,
    signal: new AbortController().signal,
    events: {
      record: async ({ step }) => {
        used.push({ step, allocated: engine.allocatedBytes, resident: process.memoryUsage.rss() });
      },
      progress() {},
      warn() {},
      samples: async () => {},
      checkpoint: async () => true,
    },
  });
  const [early, late] = [used[19]!, used.at(-1)!];
  expect(late.step - early.step).toBe(200);
  // The tables of the last batch stay until the next: they are as large as that batch.
  expect(late.allocated - early.allocated).toBeLessThan(50_000);
  expect(late.resident - early.resident).toBeLessThan(60e6);
});
