/** Adapters from end to end: trained, continued, resumed, evaluated, weighed with and merged. */
import { existsSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { cp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { packBatch } from "../src/data/batch.ts";
import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import { UserError } from "../src/errors.ts";
import { evaluate } from "../src/evaluate/evaluate.ts";
import { parseRecipe } from "../src/recipe/parse.ts";
import type { MetricsRecord } from "../src/report.ts";
import type { WeightedRecipe } from "../src/runs/token-weights.ts";
import { openModelFolder } from "../src/storage/folder.ts";
import { loadLanguageModel } from "../src/storage/load-model.ts";
import { mergeAdapter } from "../src/storage/merge-adapter.ts";
import { openSafetensors } from "../src/storage/safetensors.ts";
import { saveModelFolder } from "../src/storage/save-folder.ts";
import { weigh } from "../src/weigh/weigh.ts";
import { largestDifference } from "./helpers/compare.ts";
import { logitsOf } from "./helpers/logits.ts";
import {
  folderWithBase,
  hashes,
  recordingReporter,
  type Settings,
  timeless,
  tinyRecipe,
  trainTiny,
} from "./helpers/runs.ts";
import { randomExamples } from "./helpers/tiny.ts";

const engine = onnxRuntimeEngine({ threads: 2 });
const lora = { rank: 4, alpha: 8 };
let folder: string;
let base: string;
let data: Settings;

beforeEach(async () => {
  ({ folder, base, data } = await folderWithBase());
});

/** A run of an adapter on the base. */
function trainAdapter(changes: Settings = {}, options: Parameters<typeof trainTiny>[2] = {}) {
  const settings = { model: base, data, lora, objective: { name: "tdpo2" }, steps: 6, ...changes };
  return trainTiny(folder, settings, options);
}

const lossAtStart = (metrics: Awaited<ReturnType<typeof trainAdapter>>["metrics"]) =>
  metrics.find(({ split }) => split === "evaluation")!.loss as number;

describe("training", () => {
  test.each([
    ["as it is stored", {}],
    ["of 4 bits", { base: "int4" }],
    ["with dropout, on two layers", { dropout: 0.2, targetModules: ["q_proj", "v_proj"], rslora: true }],
  ])("leaves the base alone and writes an adapter: a base %s", async (_, changes) => {
    const before = await hashes(base);
    const { metrics, result, recipe } = await trainAdapter({ lora: { ...lora, ...changes } });
    expect(await hashes(base)).toEqual(before);
    expect(result.status).toBe("finished");
    expect(lossAtStart(metrics)).toBeCloseTo(Math.log(2), 5);
    const losses = metrics.filter(({ split }) => split === "train").map(({ loss }) => loss as number);
    expect(losses.at(-1)!).toBeLessThan(0.9 * losses[0]!);
    const files = await readdir(join(recipe.output, "model"));
    expect(files).toEqual(
      expect.arrayContaining(["adapter_config.json", "adapter_model.safetensors", "tokenizer.json"]),
    );
    expect(files).not.toContain("model.safetensors");
    const { tensors } = await openSafetensors(join(recipe.output, "model", "adapter_model.safetensors"));
    const modules = "targetModules" in changes ? 2 : 7;
    expect(tensors.size).toBe(2 * modules * 2);
    const optimizer = await openSafetensors(join(result.checkpoint!, "optimizer.safetensors"));
    expect(optimizer.tensors.size).toBe(2 * tensors.size);
  });

  test("on a base in bfloat16 is training on its numbers", async () => {
    const half = join(folder, "half");
    await trainTiny(folder, { output: half, steps: 10, data: { train: data.train }, dtype: "bfloat16" });
    const opened = await openModelFolder(join(half, "model"));
    const parameters = new Map<string, Float32Array>();
    for (const name of opened.parameters.keys()) parameters.set(name, await opened.read(name));
    await saveModelFolder(join(folder, "wide"), {
      configuration: opened.configuration,
      parameters,
      tokenizerFrom: opened.path,
    });
    const first = await trainAdapter({ model: half, output: join(folder, "one") });
    const second = await trainAdapter({ model: join(folder, "wide"), output: join(folder, "two") });
    expect(timeless(first.metrics)).toEqual(timeless(second.metrics));
  });

  test.each([{}, { dropout: 0.3 }, { base: "int4" }])(
    "that was stopped goes on as if it had not been (%o)",
    async (changes) => {
      const settings = { lora: { ...lora, ...changes }, checkpoints: { everySteps: 3, keep: 3 } };
      const whole = await trainAdapter({ ...settings, output: join(folder, "whole") });
      const controller = new AbortController();
      const output = join(folder, "stopped");
      let steps = 0;
      const stopped = await trainAdapter(
        { ...settings, output },
        {
          signal: controller.signal,
          reporter: {
            ...{ note() {}, warn() {}, record() {} },
            progress: ({ activity }) => {
              if (activity === "train" && ++steps === 4) controller.abort();
            },
          },
        },
      );
      expect(stopped.result).toMatchObject({ status: "stopped", step: 4 });
      const resumed = await trainAdapter({ ...settings, output }, { resume: true });
      expect(resumed.result.status).toBe("finished");
      expect(timeless(resumed.metrics)).toEqual(timeless(whole.metrics));
      expect((await hashes(join(output, "model")))["adapter_model.safetensors"]).toBe(
        (await hashes(join(folder, "whole", "model")))["adapter_model.safetensors"],
      );
    },
  );

  test("goes on with an adapter, whose own shape holds, compared with where it began", async () => {
    const first = await trainAdapter({ output: join(folder, "first") });
    const second = await trainAdapter({ model: join(folder, "first"), lora: null, output: join(folder, "second") });
    expect(lossAtStart(second.metrics)).toBeCloseTo(Math.log(2), 5);
    const resumed = await trainAdapter(
      { model: join(folder, "first"), lora: null, output: join(folder, "second"), steps: 8 },
      { resume: true },
    );
    expect(resumed.result).toMatchObject({ status: "finished", step: 8 });
    const [one, two] = await Promise.all([first, second].map(({ result }) => openModelFolder(result.model!)));
    expect(two!.lora).toEqual(one!.lora);
    expect(two!.base!.path).toBe(one!.base!.path);
    const given = await trainAdapter({ model: join(folder, "first"), reference: base, output: join(folder, "third") });
    expect(lossAtStart(given.metrics)).not.toBeCloseTo(Math.log(2), 3);
  });

  test("says where the recipe asks for another shape than the adapter that goes on has", async () => {
    await trainAdapter({ output: join(folder, "first") });
    const again = { model: join(folder, "first"), output: join(folder, "second") };
    const same = await trainAdapter({ ...again, lora: { ...lora, dropout: 0.1, base: "int4" } });
    expect(same.warnings).toEqual([]);
    const other = await trainAdapter(
      { ...again, lora: { rank: 2, alpha: 8, targetModules: ["v_proj"] } },
      { overwrite: true },
    );
    expect(other.warnings).toEqual([
      `lora: the adapter of ${again.model} goes on as it is: rank 4, not 2; targetModules q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, not v_proj`,
    ]);
    expect((await openModelFolder(other.result.model!)).lora!.rank).toBe(4);
  });

  test("does not go on, after a stop, on a base that is another", async () => {
    const output = join(folder, "out");
    const controller = new AbortController();
    const { reporter } = recordingReporter();
    const stopping = { ...reporter, record: () => controller.abort() };
    const { result } = await trainAdapter({ output }, { signal: controller.signal, reporter: stopping });
    expect(result.status).toBe("stopped");
    const model = join(base, "model");
    await cp(model, join(folder, "kept"), { recursive: true });
    await trainTiny(folder, { output: base, steps: 3, data: { train: data.train } }, { overwrite: true });
    await expect(trainAdapter({ output }, { resume: true })).rejects.toThrow(
      "the model that the run began with, or its reference, has changed since",
    );
    await rm(model, { recursive: true });
    await cp(join(folder, "kept"), model, { recursive: true });
    const progress = join(result.checkpoint!, "progress.json");
    const { frozen, ...earlier } = JSON.parse(await readFile(progress, "utf8")) as Record<string, unknown>;
    expect(frozen).toMatch(/^[0-9a-f]{64}$/);
    await writeFile(progress, JSON.stringify(earlier));
    expect((await trainAdapter({ output }, { resume: true })).result.status).toBe("finished");
  });

  test("stops where its base is overwritten, with a checkpoint of what came before", async () => {
    const file = join(base, "model", "model.safetensors");
    const bytes = await readFile(file);
    const { reporter } = recordingReporter();
    /** Does something when a step is on record. */
    const atRecord = (step: number, act: () => void) => ({
      ...reporter,
      record: (record: MetricsRecord) => {
        if (record.split === "train" && record.step === step) act();
      },
    });
    const touching = atRecord(2, () => utimesSync(file, 1, 1));
    expect((await trainAdapter({ output: join(folder, "one") }, { reporter: touching })).result.status).toBe(
      "finished",
    );
    const other = Buffer.from(bytes);
    other.writeUInt8(other.at(-1)! ^ 1, other.length - 1);
    const overwriting = atRecord(2, () => writeFileSync(file, other, { flag: "r+" }));
    const settings = { output: join(folder, "two"), checkpoints: { everySteps: 1 } };
    await expect(trainAdapter(settings, { reporter: overwriting })).rejects.toThrow(
      "model.safetensors: was overwritten while the run was reading it",
    );
    expect(await readdir(join(folder, "two", "checkpoints"))).toEqual(["step-00000001"]);
  });

  test("does not overwrite the run that holds the base of an adapter that it needs", async () => {
    const adapter = join(folder, "adapter");
    await trainAdapter({ output: adapter });
    const before = await hashes(base);
    const link = join(folder, "link");
    await symlink(base, link);
    for (const changes of [{ model: adapter }, { reference: adapter, model: join(base, "model"), output: link }]) {
      const attempt = trainAdapter({ output: base, ...changes }, { overwrite: true });
      await expect(attempt).rejects.toThrow("which overwriting would delete");
    }
    const other = join(folder, "other");
    await cp(join(base, "model"), other, { recursive: true });
    const referring = trainAdapter({ output: base, model: other, reference: adapter }, { overwrite: true });
    await expect(referring).rejects.toThrow("model, the base of an adapter, which overwriting would delete");
    expect(await hashes(base)).toEqual(before);
  });

  test("leaves an earlier run alone where its reference cannot be read", async () => {
    const output = join(folder, "out");
    await trainAdapter({ output });
    const before = await hashes(output);
    const broken = join(folder, "broken");
    await cp(join(base, "model"), broken, { recursive: true });
    const weights = join(broken, "model.safetensors");
    const bytes = await readFile(weights);
    bytes.writeFloatLE(Number.NaN, bytes.length - 4);
    await writeFile(weights, bytes);
    await expect(trainAdapter({ output, reference: broken }, { overwrite: true })).rejects.toThrow("not finite");
    expect(await hashes(output)).toEqual(before);
  });

  test("refuses a rank that no layer has", async () => {
    await expect(trainAdapter({ lora: { rank: 17 } })).rejects.toThrow(
      "lora.rank: is 17, but no layer that the adapter is put on has a rank above 16",
    );
  });

  test.each([
    ["the base of an adapter", {}],
    ["the model that a whole one began with", { lora: null }],
  ])("ends and is saved although %s was deleted meanwhile", async (_, changes) => {
    const { reporter } = recordingReporter();
    const progress = ({ activity, done }: { activity: string; done: number }) => {
      if (activity === "train" && done === 2) rmSync(base, { recursive: true });
    };
    const { result } = await trainAdapter(changes, { reporter: { ...reporter, progress } });
    expect(result).toMatchObject({ status: "finished", step: 6 });
    expect(existsSync(base)).toBe(false);
    expect(await readdir(result.model!)).toContain("tokenizer.json");
  });

  test("with the reference cached ahead gives the same", async () => {
    const settings = { steps: null, epochs: 2 };
    const one = await trainAdapter({ ...settings, output: join(folder, "one") });
    const two = await trainAdapter({ ...settings, output: join(folder, "two"), referenceCache: { ahead: true } });
    expect(timeless(two.metrics)).toEqual(timeless(one.metrics));
  });

  test("names what it can be put on where it is asked for something else", async () => {
    const attempt = trainAdapter({ lora: { targetModules: ["query"] } });
    await expect(attempt).rejects.toThrow(UserError);
    await expect(attempt).rejects.toThrow(
      'lora.targetModules: the model has no linear layer "query"; there are q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj',
    );
    expect(existsSync(join(folder, "run"))).toBe(false);
  });
});

test("the trained adapter and the model it is merged into say the same, and not what the base says", async () => {
  const { result } = await trainAdapter({ learningRate: 0.05 });
  const opened = await openModelFolder(result.model!);
  await saveModelFolder(join(folder, "merged"), {
    configuration: opened.configuration,
    parameters: mergeAdapter(opened),
  });
  const batch = packBatch(randomExamples(5, [[3, 4, 2]]));
  const logits = async (path: string, options = {}) =>
    (await logitsOf(engine, await loadLanguageModel(engine, path, options), batch)).flat();
  const [adapted, merged, alone] = [
    await logits(result.model!),
    await logits(join(folder, "merged")),
    await logits(join(base, "model")),
  ];
  expect(largestDifference(adapted, merged)).toBeLessThan(1e-4);
  expect(largestDifference(adapted, alone)).toBeGreaterThan(0.1);
  expect(await logits(join(base, "model"), { frozen: true })).toEqual(alone);
});

test.each(["stored", "int4"] as const)("two adapters on one base share one copy of it (%s)", async (format) => {
  const runs = [];
  for (const name of ["one", "two"]) {
    runs.push(await trainAdapter({ lora: { ...lora, base: format }, output: join(folder, name), steps: 1 }));
  }
  const [one, two] = runs.map(({ result }) => result.model!) as [string, string];
  const first = await loadLanguageModel(engine, one, { base: format });
  const second = await loadLanguageModel(engine, two, { base: format, like: first });
  for (const [name, value] of first.parameters) {
    expect([name, second.parameters.get(name) === value]).toEqual([name, !first.trainable.has(name)]);
  }
  const other = await loadLanguageModel(engine, two, { base: format === "int4" ? "stored" : "int4", like: first });
  expect(other.parameters.get("model.norm.weight")).not.toBe(first.parameters.get("model.norm.weight"));
});

test("contrastive models can be two adapters on one base, estimated and trained with", async () => {
  const weights = { from: "dpo", training: { steps: 3 } };
  const settings = { model: base, data, lora, objective: { name: "tis-dpo" }, weights, steps: 3 };
  const recipe = parseRecipe(tinyRecipe(folder, settings), "recipe.yaml") as WeightedRecipe;
  await weigh(recipe);
  const { metrics } = await trainTiny(folder, settings);
  const contrastive = join(recipe.output, "contrastive");
  for (const pole of ["positive", "negative"]) {
    expect((await openModelFolder(join(contrastive, pole, "model"))).base!.path).toBe(join(base, "model"));
  }
  expect((await readdir(contrastive)).some((name) => name.endsWith(".safetensors"))).toBe(true);
  expect(metrics.filter(({ split }) => split === "train")).toHaveLength(3);
  const config = JSON.parse(await readFile(join(recipe.output, "model", "adapter_config.json"), "utf8"));
  expect(config).toMatchObject({
    peft_type: "LORA",
    r: 4,
    lora_alpha: 8,
    base_model_name_or_path: join(base, "model"),
  });
});

test.each([
  ["as it is stored", {}],
  ["of 4 bits", { base: "int4" }],
])("an evaluation repeats what the run measured last, on a base %s", async (_, changes) => {
  const { recipe, metrics } = await trainAdapter({ lora: { ...lora, ...changes } });
  const [evaluation] = await evaluate({ models: [recipe.output], threads: 2 });
  const last = metrics.at(-1)!;
  expect(last).toMatchObject({ split: "evaluation", step: 6 });
  expect(evaluation!.reference).toBe(base);
  for (const name of ["loss", "rewards/margins"])
    expect(evaluation!.metrics[name], name).toBeCloseTo(last[name] as number, 6);
});
