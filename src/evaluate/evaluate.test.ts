/**
 * Evaluations of tiny runs, against the runs' own records and against direct computation in
 * float64.
 */
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { logitsOf, sequenceBatch } from "../../test/helpers/logits.ts";
import { init, pairRecords, type Settings, timeless, trainTiny, writeJsonLines } from "../../test/helpers/runs.ts";
import { writeByteTokenizer } from "../data/tokens/byte-tokenizer.ts";
import { float64Engine } from "../engine/float64.ts";
import { UserError } from "../errors.ts";
import type { MetricsRecord } from "../report.ts";
import type { Metrics } from "../step/metrics.ts";
import { loadLanguageModel } from "../storage/load-model.ts";
import { type EvaluateOptions, type EvaluationReporter, evaluate } from "./evaluate.ts";

let folder: string;
let pairs: string;
const at = (name: string) => join(folder, name);
const lastEvaluations = new Map<string, MetricsRecord>();
const objective = { name: "tdpo2", beta: 0.5, alpha: 0.3 } as const;

async function trainRun(name: string, changes: Settings): Promise<void> {
  const data = { train: pairs, heldOut: 6 };
  const { metrics } = await trainTiny(folder, { output: at(name), data, learningRate: 0.003, steps: 8, ...changes });
  lastEvaluations.set(name, timeless(metrics).findLast(({ split }) => split === "evaluation")!);
}

type Options = Omit<EvaluateOptions, "signal">;
const run = (options: Options) => evaluate({ threads: 2, ...options });
const one = async (options: Options) => (await run(options))[0]!;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwise-test-"));
  pairs = await writeJsonLines(at("pairs.jsonl"), pairRecords(20));
  await trainRun("sft", { learningRate: 0.01 });
  await trainRun("tdpo2", { model: at("sft"), objective });
  await trainRun("dpo", { model: at("sft"), objective: { name: "dpo", beta: 0.2 }, reference: at("tdpo2") });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function listener() {
  const heard = { notes: [] as string[], warnings: [] as string[], progress: new Map<string, number>() };
  const reporter: EvaluationReporter = {
    note: (message) => heard.notes.push(message),
    warn: (message) => heard.warnings.push(message),
    progress: ({ activity, done, total }) => heard.progress.set(activity, done / total),
  };
  return { ...heard, reporter };
}

/** What training's record has, of the same names. */
function recorded(name: string): Metrics {
  const { split: _, step: __, epoch: ___, examples: ____, ...metrics } = lastEvaluations.get(name)!;
  return metrics as Metrics;
}

function expectClose(found: Metrics, expected: Metrics, tolerance: number): void {
  expect(Object.keys(expected).length).toBeGreaterThan(1);
  for (const [name, value] of Object.entries(expected)) {
    expect(Math.abs(found[name]! - value), name).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(value)));
  }
}

/** Means over pairs of what a model says of both answers, from whole sequences in float64. */
async function direct(policyFolder: string, referenceFolder: string, records: ReturnType<typeof pairRecords>) {
  const engine = float64Engine();
  const policy = await loadLanguageModel(engine, join(policyFolder, "model"));
  const reference = await loadLanguageModel(engine, join(referenceFolder, "model"));
  const ids = (text: string) => Array.from(Buffer.from(text));
  const answer = async (prompt: number[], response: number[]) => {
    const batch = sequenceBatch([...prompt, ...response]);
    const [ours, theirs] = [await logitsOf(engine, policy, batch), await logitsOf(engine, reference, batch)];
    let [logp, referenceLogp, kl] = [0, 0, 0];
    for (const [index, label] of response.entries()) {
      const [p, q] = [logSoftmax(theirs[prompt.length - 1 + index]!), logSoftmax(ours[prompt.length - 1 + index]!)];
      logp += q[label]!;
      referenceLogp += p[label]!;
      kl += p.reduce((sum, value, token) => sum + Math.exp(value) * (value - q[token]!), 0);
    }
    return { logp, referenceLogp, kl, perToken: logp / response.length };
  };
  const scored = [];
  for (const { prompt, chosen, rejected } of records) {
    const [start, end] = [256, 256]; // <|endoftext|>
    const [first, second] = [chosen, rejected].map((text) => answer([start, ...ids(prompt)], [...ids(text), end]));
    scored.push({ chosen: await first!, rejected: await second! });
  }
  return scored;
}

function logSoftmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)) + largest;
  return logits.map((logit) => logit - total);
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("a run by itself", () => {
  test.each(["sft", "tdpo2", "dpo"])("has the figures of its last evaluation: %s", async (name) => {
    const { metrics, examples, model } = await one({ models: [at(name)] });
    expect([model, examples]).toEqual([at(name), 6]);
    expectClose(metrics, recorded(name), 1e-6);
  });

  test("that began with random weights is compared with them", async () => {
    await trainRun("untrained", { objective: { name: "tdpo1", beta: 0.5 }, seed: 3 });
    const { metrics, reference } = await one({ models: [at("untrained")] });
    expect(reference).toBe(`${at("untrained")} before training`);
    expect(metrics["seq_kl/chosen"]).toBeGreaterThan(0);
    expectClose(metrics, recorded("untrained"), 1e-6);
  });

  test("of texts, and with a file of its own for evaluation", async () => {
    const texts = (prefix: string) =>
      Array.from({ length: 5 }, (_, index) => ({ text: `${prefix} ${"ab".repeat(index)}` }));
    const train = await writeJsonLines(at("texts.jsonl"), texts("train"));
    const evaluation = await writeJsonLines(at("more-texts.jsonl"), texts("test"));
    await trainRun("texts", { data: { train, evaluation, format: "text" }, evaluation: { examples: 4 } });
    const { metrics, examples } = await one({ models: [at("texts")] });
    expect(examples).toBe(4);
    expectClose(metrics, recorded("texts"), 1e-6);
  });

  test("that has not finished is its newest checkpoint", async () => {
    await trainRun("half", { model: at("sft"), objective });
    await rm(join(at("half"), "model"), { recursive: true });
    const heard = listener();
    const { metrics } = await one({ models: [at("half")], reporter: heard.reporter });
    expect(heard.notes[0]).toMatch(/half has not finished: this is .*step-00000008$/);
    expectClose(metrics, recorded("half"), 1e-6);
  });
});

describe("a signal ends it", () => {
  test.each([/^evaluating .*sft/, /^evaluating .*dpo/, /^sampling from/, /^measuring samples of/])(
    "at %s",
    async (when) => {
      const controller = new AbortController();
      const activities = new Set<string>();
      const heard = listener();
      const progress: EvaluationReporter["progress"] = ({ activity }) => {
        activities.add(activity);
        if (when.test(activity)) controller.abort();
      };
      const { signal } = controller;
      const models = [at("dpo"), at("sft")];
      const reporter = { ...heard.reporter, progress };
      const sampling = { samples: 2, maxNewTokens: 4 };
      expect(await evaluate({ models, data: [pairs], ...sampling, threads: 2, reporter, signal })).toBeUndefined();
      expect([...activities].at(-1)).toMatch(when);
    },
  );
});

describe("figures", () => {
  const records = pairRecords(5, "Tell me ");

  test("are those of direct computation", async () => {
    const data = [await writeJsonLines(at("held-out.jsonl"), records)];
    const { metrics, examples } = await one({ models: [at("tdpo2")], data });
    const scored = await direct(at("tdpo2"), at("sft"), records);
    const { beta, alpha } = objective;
    const ratio = ({ logp, referenceLogp }: { logp: number; referenceLogp: number }) => logp - referenceLogp;
    const margins = scored.map(({ chosen, rejected }) => beta * (ratio(chosen) - ratio(rejected)));
    const klMargins = scored.map(({ chosen, rejected }) => beta * (chosen.kl - rejected.kl));
    const share = (values: readonly number[]) => mean(values.map((value) => Number(value > 0)));
    expect(examples).toBe(5);
    expectClose(
      metrics,
      {
        loss: mean(margins.map((margin, index) => Math.log1p(Math.exp(-margin - alpha * klMargins[index]!)))),
        "rewards/accuracies": share(margins.map((margin, index) => margin + klMargins[index]!)),
        "rewards/margins": mean(margins) + mean(klMargins),
        "plain_rewards/accuracies": share(margins),
        "plain_rewards/margins": mean(margins),
        "logps/chosen": mean(scored.map(({ chosen }) => chosen.logp)),
        "logps/rejected": mean(scored.map(({ rejected }) => rejected.logp)),
        "logps/accuracies": share(scored.map(({ chosen, rejected }) => chosen.logp - rejected.logp)),
        "logps_per_token/chosen": mean(scored.map(({ chosen }) => chosen.perToken)),
        "logps_per_token/accuracies": share(scored.map(({ chosen, rejected }) => chosen.perToken - rejected.perToken)),
        "ref_logps/chosen": mean(scored.map(({ chosen }) => chosen.referenceLogp)),
        "ref_logps/rejected": mean(scored.map(({ rejected }) => rejected.referenceLogp)),
        "seq_kl/chosen": mean(scored.map(({ chosen }) => chosen.kl)),
        "seq_kl/rejected": mean(scored.map(({ rejected }) => rejected.kl)),
        "tokens/chosen": mean(records.map(({ chosen }) => chosen.length + 1)),
        "tokens/rejected": mean(records.map(({ rejected }) => rejected.length + 1)),
      },
      2e-5,
    );
  });

  test("of a plain model are log-probabilities only", async () => {
    const data = [await writeJsonLines(at("held-out.jsonl"), records)];
    const { metrics, objective, reference } = await one({ models: [join(at("sft"), "model")], data });
    expect([objective, reference]).toEqual([null, null]);
    expect(Object.keys(metrics).filter((name) => !/^(logps|logps_per_token|tokens)\//.test(name))).toEqual([]);
    const scored = await direct(at("sft"), at("sft"), records);
    expectClose(
      metrics,
      {
        "logps/margins": mean(scored.map(({ chosen, rejected }) => chosen.logp - rejected.logp)),
        "logps_per_token/margins": mean(scored.map(({ chosen, rejected }) => chosen.perToken - rejected.perToken)),
      },
      2e-5,
    );
  });

  test("of a model that is its own reference are ties", async () => {
    const { metrics, objective } = await one({
      models: [join(at("sft"), "model")],
      reference: at("sft"),
      data: [pairs],
    });
    expect(objective).toEqual({ name: "dpo", beta: 0.1, labelSmoothing: 0, aggregate: "sum", referenceFree: false });
    expect(metrics).toMatchObject({
      "rewards/accuracies": 0.5,
      "rewards/ties": 20,
      "plain_rewards/accuracies": 0.5,
      "plain_rewards/ties": 20,
      "seq_kl/margins": 0,
    });
    expect(metrics.loss).toBeCloseTo(Math.LN2, 12);
    expect(metrics["logps/ties"]).toBeLessThan(20);
  });

  test("follow changes of the objective", async () => {
    const loss = async (change: EvaluateOptions["objective"]) => {
      const { metrics, objective } = await one({ models: [at("tdpo2")], examples: 1, objective: change });
      const u = metrics["plain_rewards/margins"]!;
      return {
        objective,
        expected: (kl: number) => Math.log1p(Math.exp(-u - kl * metrics["seq_kl/margins"]!)),
        metrics,
      };
    };
    const changed = await loss({ beta: 0.9, alpha: 0 });
    expect(changed.objective).toEqual({ name: "tdpo2", beta: 0.9, alpha: 0 });
    expect(changed.metrics.loss).toBeCloseTo(changed.expected(0), 10);
    const other = await loss({ name: "tdpo1", beta: 0.7 });
    expect(other.objective).toEqual({ name: "tdpo1", beta: 0.7 });
    expect(other.metrics.loss).toBeCloseTo(other.expected(0.7), 10);
  });
});

describe("several models", () => {
  test("see the same examples, each with its own objective and reference", async () => {
    const heard = listener();
    const models = [at("sft"), at("tdpo2"), at("dpo"), join(at("dpo"), "model")];
    const evaluations = await run({ models, reporter: heard.reporter });
    expect(Object.fromEntries(heard.progress)).toEqual(
      Object.fromEntries(models.map((model) => [`evaluating ${model}`, 1])),
    );
    expect(evaluations.map(({ model, examples }) => [model, examples])).toEqual(models.map((model) => [model, 6]));
    expect(evaluations.map(({ objective, reference }) => [objective?.name, reference])).toEqual([
      [undefined, null],
      ["tdpo2", at("sft")],
      ["dpo", at("tdpo2")],
      [undefined, null],
    ]);
    expectClose(evaluations[1]!.metrics, recorded("tdpo2"), 1e-6);
    expectClose(evaluations[2]!.metrics, recorded("dpo"), 1e-6);
    expect(evaluations[0]!.metrics["logps/chosen"]).toBe(evaluations[1]!.metrics["ref_logps/chosen"]);
    expect(evaluations[3]!.metrics["logps/chosen"]).toBe(evaluations[2]!.metrics["logps/chosen"]);
    expect(heard.warnings).toEqual([expect.stringContaining("the models have different references")]);
  });

  test("can have one reference for all", async () => {
    const heard = listener();
    const models = [at("tdpo2"), at("dpo"), at("sft")];
    const evaluations = await run({ models, reference: at("sft"), reporter: heard.reporter });
    expect(evaluations.map(({ reference }) => reference)).toEqual([at("sft"), at("sft"), at("sft")]);
    expect(evaluations[2]!.metrics["seq_kl/chosen"]).toBe(0);
    expect(new Set(evaluations.map(({ metrics }) => metrics["ref_logps/chosen"])).size).toBe(1);
    expect(heard.warnings).toEqual([]);
  });

  test("bad pairs are listed and counted", async () => {
    const data = [await writeJsonLines(at("bad.jsonl"), [...pairRecords(2), { prompt: "p", chosen: "c" }])];
    const heard = listener();
    const { examples } = await one({ models: [at("dpo")], data, onBadPair: "skip", reporter: heard.reporter });
    expect(examples).toBe(2);
    expect(heard.warnings).toEqual([expect.stringContaining("skipped 1 bad record:\n")]);
    await expect(run({ models: [at("dpo")], data })).rejects.toThrow("bad.jsonl:3: rejected: is missing");
  });
});

describe("errors", () => {
  const refused = async (options: EvaluateOptions, message: string | RegExp) => {
    const error = await run(options).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UserError);
    if (typeof message === "string") expect((error as UserError).message).toContain(message);
    else expect((error as UserError).message).toMatch(message);
  };
  const moved = async (path: string, work: () => Promise<unknown>) => {
    await rename(path, `${path}-away`);
    await work().finally(() => rename(`${path}-away`, path));
  };

  test("models that are not there, or not models", async () => {
    await refused({ models: ["nowhere"], data: [pairs] }, "nowhere: no such model folder");
    await refused({ models: [folder], data: [pairs] }, "is not a model folder");
    await moved(join(at("dpo"), "model"), () =>
      moved(join(at("dpo"), "checkpoints"), () =>
        refused({ models: [at("dpo")] }, "dpo: is a run without a model: it has neither finished nor"),
      ),
    );
  });

  test("no data", async () => {
    await refused({ models: [join(at("sft"), "model")] }, "a model folder brings no data; give pairs with `data`");
    await refused({ models: [at("dpo")], data: ["nowhere.jsonl"] }, "nowhere.jsonl: there is no such file");
    await moved(pairs, () =>
      refused({ models: [at("dpo")] }, /dpo: the data .*pairs\.jsonl, is not there; give pairs/),
    );
    await trainRun("nothing-held-out", { model: at("sft"), objective, data: { train: pairs }, steps: 1 });
    await refused({ models: [at("nothing-held-out")] }, "nothing-held-out: the run held nothing out; give pairs");
  });

  test("a reference that is gone, missing, or over other tokens", async () => {
    await moved(at("sft"), () =>
      refused({ models: [at("tdpo2")] }, /tdpo2: the reference .*sft, is not there; give it with `reference`/),
    );
    await refused({ models: [at("sft")], data: [pairs], objective: { name: "dpo" } }, "sft: dpo needs a reference");
    await trainRun("wide", { init: { ...init, vocabularySize: 300 }, steps: 1 });
    await refused(
      { models: [at("dpo")], reference: at("wide") },
      /its vocabulary has 257 tokens, that of the reference .*wide 300/,
    );
    await refused({ models: [at("dpo"), at("wide")], data: [pairs] }, /wide: its vocabulary has 300 .*dpo 257/);
  });

  test("another tokenizer", async () => {
    const tokenizer = at("tokenizer");
    await writeByteTokenizer(tokenizer, [["y", "e"]]);
    await trainRun("merging", { init: { ...init, vocabularySize: 260 }, tokenizer, steps: 1 });
    await trainRun("bytes", { init: { ...init, vocabularySize: 260 }, steps: 1 });
    await refused(
      { models: [at("bytes"), at("merging")], data: [pairs] },
      /merging: reads .*pairs\.jsonl:1 as other tokens than .*bytes/,
    );
  });

  test("runs that held out different pairs", async () => {
    await trainRun("other-split", { model: at("sft"), objective, seed: 5, steps: 1 });
    await refused(
      { models: [at("dpo"), at("other-split")] },
      /other-split: the run held out other examples than .*dpo/,
    );
    expect(await run({ models: [at("dpo"), at("other-split")], data: [pairs] })).toHaveLength(2);
  });

  test("limits and options that cannot be", async () => {
    await refused(
      { models: [at("dpo")], maxLength: 65 },
      "maxLength: 65 tokens are more than the model's context of 64",
    );
    await refused(
      { models: [at("dpo")], objective: { name: "ppo" } },
      /^objective: must be one of sft, dpo, ipo, .*tis-dpo, .*, found "ppo"/,
    );
    await refused({ models: [at("dpo")], objective: { name: "sft" } }, "objective: sft does not compare answers");
    await refused({ models: [at("dpo")], objective: { alpha: 1 } }, "objective.alpha: dpo has no such option");
    await refused({ models: [at("dpo")], objective: { beta: 0 } }, "objective.beta: must be greater than 0, found 0");
    await refused({ models: [at("sft")], reference: at("dpo") }, "reference: needs pairs of answers");
    await refused({ models: [at("sft")], objective: { beta: 1 } }, "objective: needs pairs of answers");
    await writeFile(join(at("tokenizer"), "recipe.yaml"), "model: [");
    await refused({ models: [at("tokenizer")] }, "recipe.yaml:1:9: not valid YAML");
  });
});
