/**
 * Adapters on every family: what PyTorch computes with them, PEFT's layout, merging, and frozen
 * bases in 4 bits.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { packBatch } from "../src/data/batch.ts";
import type { Engine } from "../src/engine/engine.ts";
import { float64Engine } from "../src/engine/float64.ts";
import { hostMemory } from "../src/engine/host-memory.ts";
import { interpret } from "../src/graph/interpreter.ts";
import { dequantize } from "../src/graph/ops/storage.ts";
import { defineProgram } from "../src/graph/program.ts";
import { input, type Value } from "../src/graph/tensor.ts";
import type { LanguageModel } from "../src/models/language-model.ts";
import { adaptableModules, type LoraSettings } from "../src/models/lora.ts";
import { scalesName } from "../src/models/parameters.ts";
import { Transformer } from "../src/models/transformer.ts";
import { createObjective } from "../src/objectives/index.ts";
import { saveModel } from "../src/runs/checkpoint.ts";
import { Learner } from "../src/step/learner.ts";
import { openModelFolder } from "../src/storage/folder.ts";
import { loadLanguageModel, loadWithAdapter } from "../src/storage/load-model.ts";
import { mergeAdapter } from "../src/storage/merge-adapter.ts";
import { saveModelFolder } from "../src/storage/save-folder.ts";
import { largestDifference, largestError, relativeError, worstGradient } from "./helpers/compare.ts";
import { engines } from "./helpers/engines.ts";
import {
  goldenAdapters,
  goldenFolder,
  goldenModels,
  gradientErrors,
  readGoldenAdapter,
  stepMethods,
  stepOf,
} from "./helpers/golden.ts";
import { logitsOf, sequenceBatch } from "./helpers/logits.ts";
import { temporaryFolder } from "./helpers/runs.ts";
import { example, zeroGradients } from "./helpers/tiny.ts";

const exact = float64Engine();
const tokens = [5, 8, 3, 30, 21, 8, 40, 2, 11, 17];

describe.each(goldenAdapters)("the golden adapter on %s", (name) => {
  const base = goldenFolder(name);
  const golden = readGoldenAdapter(name);
  const open = () => openModelFolder(join(base, "adapter"), { base });

  test.each(engines)("gives the logits that PyTorch gives, in $precision", async ({ engine, precision }) => {
    const model = await loadLanguageModel(engine, await open());
    const logits = await logitsOf(engine, model, sequenceBatch(golden.tokens[0]!));
    const error = largestError(logits.flat(), golden.adapterLogits.flat());
    expect(error).toBeLessThan(precision === "float64" ? 1e-6 : 1e-4);
  });

  test.each(engines)("has the gradients that PyTorch has, in $precision", async ({ engine, precision }) => {
    const policy = await loadLanguageModel(engine, await open());
    const learner = new Learner({ engine, policy, reference: undefined, objective: createObjective({ name: "sft" }) });
    const gradients = zeroGradients(engine, policy);
    const [first, ...rest] = golden.tokens[0]!;
    await learner.accumulate(packBatch([example([first!], rest)]), 1 / rest.length, gradients);
    const errors = gradientErrors(gradients, golden.adapterGradient);
    expect(Math.max(...errors.values())).toBeLessThan(precision === "float64" ? 1e-10 : 1e-4);
  });

  describe.each(engines)("in $precision", ({ engine, precision }) => {
    test.each(stepMethods)("takes the step of %s that PyTorch takes", async (method) => {
      const policy = await loadLanguageModel(engine, await open());
      const reference = await loadLanguageModel(engine, base, { frozen: true });
      const step = await stepOf({ engine, policy, reference }, method, golden);
      const expected = golden.adapterSteps[method];
      expect(largestError([step.loss], [expected.loss])).toBeLessThan(precision === "float64" ? 1e-10 : 1e-5);
      const error = relativeError([step.gradientNorm], [expected.gradientNorm]);
      expect(error).toBeLessThan(precision === "float64" ? 1e-10 : 1e-4);
    });
  });

  test("merged, it gives the logits that PyTorch gives", async () => {
    const folder = await open();
    const merged = join(await temporaryFolder(), "merged");
    await saveModelFolder(merged, { configuration: folder.configuration, parameters: mergeAdapter(folder) });
    const model = await loadLanguageModel(exact, merged);
    const logits = await logitsOf(exact, model, sequenceBatch(golden.tokens[0]!));
    // The merged weights are rounded to float32, the golden logits to seven digits.
    expect(largestError(logits.flat(), golden.adapterLogits.flat())).toBeLessThan(1e-5);
  });
});

describe.each(goldenModels)("a new adapter on %s", (name) => {
  /** An adapter on every linear layer, both of whose matrices have numbers. */
  async function adapted(engine: Engine, base: "stored" | "int4" = "stored"): Promise<LanguageModel> {
    const folder = await openModelFolder(goldenFolder(name));
    const targetModules = adaptableModules(folder.architecture);
    const lora: LoraSettings = { rank: 3, alpha: 6, dropout: 0, rslora: false, targetModules };
    const model = await loadWithAdapter(engine, folder, { lora, base, seed: 7 });
    for (const { data } of model.trainable.values()) {
      for (let index = 0; index < data.length; index++) data[index] = Math.fround(Math.sin(index + data.length) / 4);
    }
    return model;
  }

  test("is the same after it was saved in PEFT's layout", async () => {
    const { engine } = engines[1];
    const model = await adapted(engine);
    const path = join(await temporaryFolder(), "adapter");
    await saveModel(hostMemory, path, model, new Map(), "float32");
    const folder = await openModelFolder(path);
    expect(folder.lora).toEqual(model.adapter!.lora);
    const settings = JSON.parse(await readFile(join(path, "adapter_config.json"), "utf8"));
    expect(settings.fan_in_fan_out).toBe(model.configuration.family === "gpt2");
    const again = await loadLanguageModel(engine, folder);
    expect([...again.trainable.keys()]).toEqual([...model.trainable.keys()]);
    const batch = sequenceBatch(tokens);
    expect(await logitsOf(engine, again, batch)).toEqual(await logitsOf(engine, model, batch));
  });

  test("on a base of 4 bits says what it says on the numbers that these stand for", async () => {
    const model = await adapted(exact, "int4");
    const widened = new Map<string, Value>();
    for (const [parameter, value] of model.parameters) {
      const scales = model.parameters.get(scalesName(parameter));
      widened.set(parameter, scales ? dequantized(value, scales) : value);
    }
    const { architecture } = model.transformer;
    const plain = new Transformer(exact, architecture.replan({ ...architecture.plan, matrices: "float" }));
    const batch = sequenceBatch(tokens);
    const expected = (await logitsOf(exact, { ...model, transformer: plain, parameters: widened }, batch)).flat();
    expect(largestDifference((await logitsOf(exact, model, batch)).flat(), expected)).toBeLessThan(1e-10);
    const stored = (await logitsOf(exact, await adapted(exact), batch)).flat();
    expect(largestDifference(stored, expected)).toBeGreaterThan(1e-3);
  });

  test("has the same gradients where activations are computed again", async () => {
    const { engine } = engines[1];
    const policy = await adapted(engine);
    const reference = await loadLanguageModel(engine, goldenFolder(name), { frozen: true });
    const objective = createObjective({ name: "tdpo2", beta: 0.3, alpha: 0.5 });
    const gradientsWith = async (activationCheckpointing: boolean) => {
      const learner = new Learner({ engine, policy, reference, objective, activationCheckpointing });
      const totals = zeroGradients(engine, policy);
      await learner.accumulate(packBatch([example(tokens, [4, 9, 2], [7, 5, 2])]), 1, totals);
      return totals;
    };
    const plain = await gradientsWith(false);
    for (const { data } of plain.values()) expect(data.some((value) => value !== 0)).toBe(true);
    expect(worstGradient(await gradientsWith(true), plain).error).toBe(0);
  });
});

test("GPT-2's modules have PEFT's names, and a part of a name chooses among those that share their end", async () => {
  const base = goldenFolder("gpt2");
  const { architecture } = await openModelFolder(base);
  expect(adaptableModules(architecture)).toEqual(["c_attn", "c_proj", "c_fc"]);
  const folder = await openModelFolder(base);
  const lora: LoraSettings = { rank: 2, alpha: 4, dropout: 0, rslora: false, targetModules: ["attn.c_proj"] };
  const model = await loadWithAdapter(exact, folder, { lora, base: "stored", seed: 1 });
  expect([...model.trainable.keys()]).toEqual(
    [0, 1].flatMap((layer) =>
      ["A", "B"].map((part) => `base_model.model.transformer.h.${layer}.attn.c_proj.lora_${part}.weight`),
    ),
  );
});

function dequantized(packed: Value, scales: Value): Value {
  const [q, s] = [input(packed.shape, "int4"), input(scales.shape)];
  return interpret(defineProgram("numbers", { q, s }, { y: dequantize(q, s) }), { q: packed, s: scales }).y!;
}
