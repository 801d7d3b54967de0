import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import { type LlamaSizes, newLlama } from "../src/families/new-llama.ts";
import { architectureOf } from "../src/families/registry.ts";
import { initializeLanguageModel } from "../src/models/initialize.ts";
import { saveModelFolder } from "../src/storage/save-folder.ts";

/**
 * Saves a Llama with random weights.
 *
 * @returns how many parameters it has
 */
export async function saveRandomModel(folder: string, sizes: LlamaSizes, tokenizerFrom?: string): Promise<number> {
  const engine = onnxRuntimeEngine({ threads: 1 });
  const configuration = newLlama(sizes);
  const { parameters } = await initializeLanguageModel(engine, architectureOf(configuration), {
    seed: 0,
    standardDeviation: 0.02,
  });
  const data = new Map([...parameters].map(([name, value]) => [name, value.data as Float32Array]));
  await saveModelFolder(folder, { configuration, parameters: data, ...(tokenizerFrom && { tokenizerFrom }) });
  engine.dispose();
  return [...data.values()].reduce((sum, { length }) => sum + length, 0);
}
