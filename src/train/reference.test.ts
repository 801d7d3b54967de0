import { join } from "node:path";
import { expect, test } from "vitest";
import { pairRecords, temporaryFolder, trainTiny, writeJsonLines } from "../../test/helpers/runs.ts";
import { tinyConfiguration, tinyModel } from "../../test/helpers/tiny.ts";
import { onnxRuntimeEngine } from "../engine/native/onnx-runtime.ts";
import { architectureOf } from "../families/registry.ts";
import { Transformer } from "../models/transformer.ts";
import { cacheNote, headAlone } from "./reference.ts";

const cache = { bytes: 25e6, budget: 4e9, examples: 100, ahead: false, trainingRepeats: true };

test.each([
  [{}, "reference cache: 25 MB for 100 examples; a step without the reference's pass takes about a quarter less"],
  [{ trainingRepeats: false }, "reference cache: 25 MB for 100 examples"],
  [{ budget: 20e6, trainingRepeats: false }, "reference cache: 25 MB for 100 examples, of which 20 MB are kept"],
  [{ bytes: 9e6 }, undefined],
  [{ bytes: 9e6, ahead: true, trainingRepeats: false }, "reference cache: 9 MB for 100 examples"],
])("of a cache with %o is said: %s", (changes, note) => {
  expect(cacheNote({ ...cache, ...changes })).toBe(note);
});

test.each([true, false])("a head alone is its matrix and its bias; copied: %s", (copy) => {
  const engine = onnxRuntimeEngine({ threads: 2 });
  const architecture = { ...architectureOf(tinyConfiguration()), headBias: "lm_head.bias" };
  const model = tinyModel(engine, architecture.configuration, 3, new Transformer(engine, architecture));
  const expected = ["lm_head.weight", "lm_head.bias"].map((name) => [name, [...model.parameters.get(name)!.data]]);
  const alone = headAlone(engine, model, { copy });
  expect(Array.from(alone.parameters, ([name, { data }]) => [name, [...data]])).toEqual(expected);
  expect(new Set(alone.memory)).toEqual(new Set(alone.parameters.values()));
  const taken = engine.allocatedBytes;
  for (const value of new Set(copy ? [...alone.memory, ...model.memory] : alone.memory)) engine.release(value);
  expect(engine.allocatedBytes).toBeLessThan(taken);
});

test("steps take less where training examples repeat, not where only held-out ones do", async () => {
  const folder = await temporaryFolder();
  const data = { train: await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(12)), heldOut: 3 };
  const model = join(folder, "base");
  await trainTiny(folder, { output: model, data: { train: data.train } });
  for (const epochs of [1, 2]) {
    const output = join(folder, `${epochs}`);
    const settings = { model, output, data, objective: { name: "tdpo2" }, epochs, steps: null };
    const { notes } = await trainTiny(folder, { ...settings, referenceCache: { ahead: true } });
    const said = notes.find((note) => note.startsWith("reference cache"));
    expect(said).toMatch(epochs === 1 ? /for 12 examples$/ : /about a quarter less$/);
  }
});
