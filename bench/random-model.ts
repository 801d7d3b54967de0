import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import { createConfiguration, type LlamaSizes } from "../src/families/configuration.ts";
import { initializeLanguageModel } from "../src/models/initialize.ts";
import { saveModelFolder } from "../src/storage/save-folder.ts";

/**
 * Saves a Llama with random weights.
 *
 * @returns how many parameters it has
 */
export async function saveRandomModel(folder: string, sizes: LlamaSizes, tokenizerFrom?: string): Promise<number> {
  const engine = onnxRuntimeEngine({ threads: 1 });
  const configuration = createConfiguration(sizes);
  const { parameters } = await initializeLanguageModel(engine, configuration, { seed: 0, standardDeviation: 0.02 });
  const data = new Map([...parameters].map(([name, value]) => [name, value.data as Float32Array]));
  await saveModelFolder(folder, { configuration, parameters: data, ...(tokenizerFrom && { tokenizerFrom }) });
  engine.dispose();
  return [...data.values()].reduce((sum, { length }) => sum + length, 0);
}
