/**
 * A second engine, the float64 interpreter, trains a tiny model end to end: no room above the
 * engine knows which.
 */
import { expect, test } from "vitest";
import { openSafetensors } from "../src/storage/safetensors.ts";
import { folderWithBase, trainTiny } from "./helpers/runs.ts";

test("a run in float64 makes the model that a run in float32 makes", async () => {
  const { folder, base, data } = await folderWithBase();
  const settings = { model: base, data, objective: { name: "tdpo2" }, steps: 3, activationCheckpointing: true };
  const [single, double] = [
    await trainTiny(folder, { ...settings, output: `${folder}/single` }),
    await trainTiny(folder, { ...settings, output: `${folder}/double` }, { backend: "float64" }),
  ];
  expect(double.result.status).toBe("finished");
  const file = await openSafetensors(`${double.result.model}/model.safetensors`);
  expect(new Set([...file.tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(["F32"]));
  const numbers = ({ metrics }: typeof single) =>
    metrics.flatMap(({ loss, grad_norm, "seq_kl/chosen": divergence }) => [loss, grad_norm, divergence] as number[]);
  expect(numbers(double)).toHaveLength(numbers(single).length);
  numbers(double).forEach((value, index) => {
    const other = numbers(single)[index];
    if (value === undefined) expect(other).toBeUndefined();
    else expect(Math.abs(value - other!)).toBeLessThan(1e-4 * Math.max(1, Math.abs(value)));
  });
});
