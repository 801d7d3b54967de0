import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { folderWithBase, trainTiny, weightsHash } from "../../test/helpers/runs.ts";
import { hostMemory } from "../engine/host-memory.ts";
import { UserError } from "../errors.ts";
import type { ModelFolder } from "../storage/folder.ts";
import { roundingWarning } from "./rounding-warning.ts";

describe("training that saves in bfloat16", () => {
  let folder: string;
  let data: object;
  let base: string;
  beforeEach(async () => {
    const made = await folderWithBase();
    ({ folder, data } = made);
    base = join(folder, "base-16");
    await trainTiny(folder, { model: made.base, output: base, data, steps: 1, dtype: "bfloat16" });
  });

  const run = (changes: object, options: object = {}) =>
    trainTiny(
      folder,
      { model: base, data, steps: 3, dtype: "bfloat16", objective: { name: "dpo" }, learningRate: 1e-7, ...changes },
      options,
    );
  const said = ({ warnings }: { warnings: readonly string[] }) => warnings.filter((text) => text.includes("bfloat16"));

  test("warns where rounding takes back what training did, and the advice keeps it", async () => {
    const rounded = await run({});
    expect(said(rounded)).toEqual([
      expect.stringMatching(
        /^rounding to bfloat16 moves the weights by \d+ % of what training did; .*with `resume` and `set: dtype=float32`;/,
      ),
    ]);
    const exact = await run({ dtype: "float32" }, { resume: true });
    expect(said(exact)).toEqual([]);
    const { model, checkpoint } = exact.result;
    expect(await weightsHash(model!)).toBe(await weightsHash(join(checkpoint!, "model")));
  });

  test("says nothing where training did much, or where float32 is saved", async () => {
    expect(said(await run({ output: join(folder, "much"), learningRate: 0.1 }))).toEqual([]);
    expect(said(await run({ output: join(folder, "exact"), dtype: "float32" }))).toEqual([]);
  });

  test("says nothing of a new adapter, and warns of one that goes on", async () => {
    const adapter = join(folder, "adapter");
    const first = await run({ output: adapter, lora: { rank: 2 }, learningRate: 1e-2 });
    expect(said(first)).toEqual([]);
    expect(said(await run({ output: join(folder, "on"), model: adapter }))).toHaveLength(1);
  });

  test("says nothing of a new model", async () => {
    const made = await run({ output: join(folder, "new"), model: null, objective: { name: "sft" } });
    expect(said(made)).toEqual([]);
  });
});

test("a starting model that is gone at the end is told, and no reason to fail", async () => {
  const read = () => Promise.reject(new UserError("cannot read: no such file or folder", { file: "model" }));
  const trainable = new Map([["a", { shape: [1], data: new Float32Array(1) }]]);
  const warning = await roundingWarning(hostMemory, { read } as unknown as ModelFolder, { trainable });
  expect(warning).toMatch(/^how much .* is not known, for the starting model is gone: model: cannot read: no such/);
});
