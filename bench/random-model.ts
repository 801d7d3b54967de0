import { architectureOf } from "../src/families/registry.ts";
import { elementCount } from "../src/graph/tensor.ts";
import { parameterShapes } from "../src/models/architecture.ts";
import type { ModelConfiguration } from "../src/models/configuration.ts";
import { Random } from "../src/random.ts";
import { saveModelFolder } from "../src/storage/save-folder.ts";

interface SaveOptions {
  readonly tokenizerFrom?: string;
  readonly dtype?: "float32" | "bfloat16";
}

/** Normal numbers that tensors repeat, so that a billion of them take seconds. */
const drawn = (1 << 20) - 3;

/**
 * Saves a model with random weights, one tensor in memory at a time: matrices normal with the
 * standard deviation 0.02, norms one, biases zero.
 *
 * @returns how many parameters it has
 */
export async function saveRandomModel(
  folder: string,
  configuration: ModelConfiguration,
  { tokenizerFrom, dtype = "float32" }: SaveOptions = {},
): Promise<number> {
  const random = Random.from(0, "bench weights");
  const normals = Float32Array.from({ length: drawn }, () => 0.02 * random.normal());
  const shapes = parameterShapes(architectureOf(configuration));
  const make = (name: string, shape: readonly number[]) => async () => {
    const data = new Float32Array(elementCount(shape));
    if (shape.length === 1) return data.fill(name.endsWith(".bias") ? 0 : 1);
    let from = Random.from(0, name).integer(drawn);
    for (let at = 0; at < data.length; at += drawn - from, from = 0)
      data.set(normals.subarray(from, Math.min(drawn, from + data.length - at)), at);
    return data;
  };
  await saveModelFolder(folder, {
    configuration,
    parameters: new Map(Array.from(shapes, ([name, shape]) => [name, make(name, shape)])),
    dtype,
    ...(tokenizerFrom && { tokenizerFrom }),
  });
  return [...shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0);
}
