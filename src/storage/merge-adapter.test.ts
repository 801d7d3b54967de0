import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../test/helpers/runs.ts";
import { architectureOf } from "../families/registry.ts";
import { parameterShapes } from "../models/architecture.ts";
import { adapterNames } from "../models/lora.ts";
import { openModelFolder } from "./folder.ts";
import { mergeAdapter } from "./merge-adapter.ts";
import {
  adapterFor,
  numbersFor,
  tinyConfiguration,
  tinyLora,
  writeTinyAdapter,
  writeTinyModel,
} from "./testing/tiny-adapter.ts";

test.each([
  [false, 3],
  [true, 6 / Math.SQRT2],
])("W + scale B A where there is an adapter, with rslora %j by %d", async (rslora, scale) => {
  const root = await temporaryFolder();
  const base = await writeTinyModel(join(root, "base"));
  const lora = { ...tinyLora, rslora };
  const merged = mergeAdapter(await openModelFolder(await writeTinyAdapter(join(root, "adapter"), base, lora)));
  const shapes = parameterShapes(architectureOf(tinyConfiguration));
  expect([...merged.keys()]).toEqual([...shapes.keys()]);
  const [weights, adapter] = [numbersFor(shapes), adapterFor(lora)];
  let changed = 0;
  for (const [name, make] of merged) {
    const { a, b } = adapterNames(name);
    const expected = weights.get(name)!;
    if (adapter.has(a)) {
      changed++;
      const [A, B] = [adapter.get(a)!.data, adapter.get(b)!.data];
      const [outputs, inputs] = shapes.get(name)! as [number, number];
      for (let row = 0; row < outputs; row++) {
        for (let column = 0; column < inputs; column++) {
          const product = B[row * 2]! * A[column]! + B[row * 2 + 1]! * A[inputs + column]!;
          expected[row * inputs + column]! += scale * product;
        }
      }
    }
    expect(await make()).toEqual(expected);
  }
  expect(changed).toBe(4);
});

test("a whole model has nothing to merge", async () => {
  const base = await writeTinyModel(join(await temporaryFolder(), "base"));
  const folder = await openModelFolder(base);
  expect(() => mergeAdapter(folder)).toThrow(`${base}: is a whole model: there is no adapter to merge`);
});
