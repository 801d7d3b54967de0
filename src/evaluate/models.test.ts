import { expect, test } from "vitest";
import { tinyConfiguration, tinyModel } from "../../test/helpers/tiny.ts";
import { float64Engine } from "../engine/float64.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { ModelLoader } from "./models.ts";

const engine = float64Engine();

/** A model that counts how often it is loaded. */
function loadable(key: string, changes: Readonly<Record<string, unknown>> = {}) {
  const configuration = tinyConfiguration(changes);
  const counted = {
    ...{ key, configuration, loads: 0 },
    load: async (_: unknown, { like }: { like?: LanguageModel | undefined }) => {
      counted.loads++;
      return tinyModel(engine, configuration, 1, like);
    },
  };
  return counted;
}

test("equal architectures share programs, others do not, and memory is used again", async () => {
  const loader = new ModelLoader(engine);
  const first = await loader.load(loadable("a"));
  const held = engine.allocatedBytes;
  loader.release(first);
  const second = await loader.load(loadable("b"));
  expect(engine.allocatedBytes).toBe(held);
  const wider = await loader.load(loadable("c", { intermediate_size: 32 }));
  const third = await loader.load(loadable("d"));
  expect(second.transformer).toBe(first.transformer);
  expect(third.transformer).toBe(first.transformer);
  expect(wider.transformer).not.toBe(first.transformer);
});

test("a reference stays until another is wanted", async () => {
  const loader = new ModelLoader(engine);
  const [one, other] = [loadable("one"), loadable("other")];
  const model = await loader.loadReference(one);
  const held = engine.allocatedBytes;
  expect(await loader.loadReference(undefined)).toBeUndefined();
  expect(await loader.loadReference(one)).toBe(model);
  expect(await loader.loadReference(other)).not.toBe(model);
  expect(engine.allocatedBytes).toBe(held);
  expect([one.loads, other.loads]).toEqual([1, 1]);
});
