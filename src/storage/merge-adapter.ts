import { UserError } from "../errors.ts";
import { parameterShapes } from "../models/architecture.ts";
import { type AdaptedLayer, adaptedLayers, adapterNames, type LoraSettings, loraScale } from "../models/lora.ts";
import type { ModelFolder } from "./folder.ts";
import type { LazyParameter } from "./save-folder.ts";

/**
 * The parameters of the whole model that an adapter makes of its base: W + scale B A in place of
 * each W that it changes, by the names and in the order of `parameterShapes`. Each is read and
 * computed when it is asked for. B A is summed in float64, and the result rounded to float32 once.
 *
 * @param onMerged told of each weight before and after
 * @throws UserError if the folder holds a whole model.
 */
export function mergeAdapter(
  folder: ModelFolder,
  onMerged?: (base: Float32Array, merged: Float32Array) => void,
): Map<string, LazyParameter> {
  const { path, architecture, lora } = folder;
  if (!lora) throw new UserError("is a whole model: there is no adapter to merge", { file: path });
  const adapted = new Map(adaptedLayers(architecture, lora.targetModules).map((layer) => [layer.weight, layer]));
  return new Map(
    Array.from(parameterShapes(architecture).keys(), (name) => {
      const layer = adapted.get(name);
      if (!layer) return [name, () => folder.read(name)];
      const merge = async () => {
        const weight = await folder.read(name);
        const before = onMerged && weight.slice();
        await addAdapter(weight, folder, layer, lora);
        if (before) onMerged(before, weight);
        return weight;
      };
      return [name, merge];
    }),
  );
}

/** Adds scale B A to the matrix of a layer as it is stored. */
async function addAdapter(
  weight: Float32Array,
  folder: ModelFolder,
  { weight: name, outputs, inputs, transposed }: AdaptedLayer,
  lora: LoraSettings,
): Promise<void> {
  const names = adapterNames(name);
  const [a, b] = [await folder.read(names.a), await folder.read(names.b)];
  const settings = { rank: lora.rank, scale: loraScale(lora) };
  // (B A)ᵀ = Aᵀ Bᵀ
  if (transposed) addProduct(weight, transpose(b, [outputs, lora.rank]), transpose(a, [lora.rank, inputs]), settings);
  else addProduct(weight, a, b, settings);
}

function transpose(matrix: Float32Array, [rows, columns]: readonly [number, number]): Float32Array {
  return Float32Array.from(matrix, (_, index) => matrix[(index % rows) * columns + Math.floor(index / rows)]!);
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
