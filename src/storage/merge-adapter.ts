import { UserError } from "../errors.ts";
import { adapterNames, loraScale } from "../models/lora.ts";
import { parameterShapes } from "../models/parameter-shapes.ts";
import type { ModelFolder } from "./folder.ts";
import type { LazyParameter } from "./save-folder.ts";

/**
 * The parameters of the whole model that an adapter makes of its base: W + scale B A in place of each W that it changes, by the names and in
 * the order of `parameterShapes`. Each is read and computed when it is asked for. B A is summed in float64, and the result rounded to
 * float32 once.
 *
 * @param onMerged told of each weight before and after
 * @throws UserError if the folder holds a whole model.
 */
export function mergeAdapter(
  folder: ModelFolder,
  onMerged?: (base: Float32Array, merged: Float32Array) => void,
): Map<string, LazyParameter> {
  const { path, configuration, weights, lora } = folder;
  if (!lora) throw new UserError("is a whole model: there is no adapter to merge", { file: path });
  const scale = loraScale(lora);
  return new Map(
    Array.from(parameterShapes(configuration).keys(), (name) => {
      const { a, b } = adapterNames(name);
      if (!weights.has(a)) return [name, () => folder.read(name)];
      const merge = async () => {
        const weight = await folder.read(name);
        const before = onMerged && weight.slice();
        addProduct(weight, await folder.read(a), await folder.read(b), { rank: lora.rank, scale });
        if (before) onMerged(before, weight);
        return weight;
      };
      return [name, merge];
    }),
  );
}

/** Adds scale B A to W [out, in], with A [rank, in] and B [out, rank]. */
function addProduct(
  weight: Float32Array,
  a: Float32Array,
  b: Float32Array,
  { rank, scale }: { rank: number; scale: number },
): void {
  const inputs = a.length / rank;
  const sum = new Float64Array(inputs);
  for (let start = 0, factors = 0; start < weight.length; start += inputs, factors += rank) {
    sum.fill(0);
    for (let index = 0; index < rank; index++) {
      const factor = b[factors + index]!;
      const from = index * inputs;
      for (let column = 0; column < inputs; column++) sum[column]! += factor * a[from + column]!;
    }
    for (let column = 0; column < inputs; column++) weight[start + column]! += scale * sum[column]!;
  }
}
