/**
 * What we save of a trained model has the names, shapes and formats that transformers and PEFT gave
 * the golden one. `open.py` beside the golden models opens both with the real libraries.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { float64Engine } from "../src/engine/float64.ts";
import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import { loadLanguageModel } from "../src/storage/load-model.ts";
import { openSafetensors } from "../src/storage/safetensors.ts";
import { largestDifference, largestError } from "./helpers/compare.ts";
import { goldenConfiguration, goldenFolder, goldenModels, readGolden } from "./helpers/golden.ts";
import { logitsOf, sequenceBatch } from "./helpers/logits.ts";
import { temporaryFolder } from "./helpers/runs.ts";
import { type savedForms, saveTrained } from "./helpers/trained-models.ts";

const engine = onnxRuntimeEngine({ threads: 2 });
const exact = float64Engine();

test.each(goldenModels)("%s, trained for a step", async (name) => {
  const folder = await temporaryFolder();
  await saveTrained(engine, name, folder);
  const golden = goldenFolder(name);

  const stored = await tensorsOf(join(golden, "model.safetensors"));
  for (const form of ["whole", "merged"]) {
    expect(await tensorsOf(join(folder, form, "model.safetensors")), form).toEqual(stored);
    expect(jsonOf(join(folder, form, "config.json")), form).toEqual(goldenConfiguration(name));
  }
  const halves = stored.map(([parameter, , ...shape]) => [parameter, "BF16", ...shape]);
  expect(await tensorsOf(join(folder, "bfloat16", "model.safetensors"))).toEqual(halves);
  const configuration = { ...goldenConfiguration(name), dtype: "bfloat16" };
  expect(jsonOf(join(folder, "bfloat16", "config.json"))).toEqual(configuration);

  if (existsSync(join(golden, "adapter"))) {
    const [ours, theirs] = [folder, golden].map((root) => join(root, "adapter", "adapter_model.safetensors"));
    expect(await tensorsOf(ours!)).toEqual(await tensorsOf(theirs!));
    const [written, given] = [folder, golden].map((root) => jsonOf(join(root, "adapter", "adapter_config.json")));
    // PEFT writes the whole names of few modules. Later versions have further keys, switched off.
    expect(lastParts(given.target_modules)).toEqual(lastParts(written.target_modules));
    const same = { target_modules: given.target_modules, base_model_name_or_path: name };
    expect(given).toMatchObject({ ...written, ...same });
  }

  const logits = async (form: (typeof savedForms)[number]) => {
    const model = await loadLanguageModel(exact, join(folder, form));
    return (await logitsOf(exact, model, sequenceBatch(readGolden(name).tokens[0]!))).flat();
  };
  const before = readGolden(name).logits[0]!.flat();
  expect(largestDifference(await logits("whole"), before)).toBeGreaterThan(1e-2);
  const adapted = await logits("adapter");
  expect(largestDifference(adapted, before)).toBeGreaterThan(1e-2);
  // Merged weights are rounded to float32.
  expect(largestError(await logits("merged"), adapted)).toBeLessThan(1e-5);
});

/** Each tensor's name, format and shape, by name. */
async function tensorsOf(file: string): Promise<(string | number)[][]> {
  const { tensors } = await openSafetensors(file);
  return Array.from(tensors, ([name, { dtype, shape }]) => [name, dtype, ...shape]).sort(([a], [b]) =>
    a! < b! ? -1 : 1,
  );
}

function lastParts(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => name.slice(name.lastIndexOf(".") + 1)))].sort();
}

function jsonOf(file: string) {
  return JSON.parse(readFileSync(file, "utf8"));
}
