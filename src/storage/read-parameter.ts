import type { Engine, FloatValue } from "../engine/engine.ts";
import type { ModelFolder } from "./folder.ts";

/** Reads a parameter into memory of the engine, as floats. */
export async function readParameter(engine: Engine, folder: ModelFolder, name: string): Promise<FloatValue> {
  const value = engine.allocate(folder.weights.get(name)!.shape);
  if (value.data instanceof Float32Array) await folder.read(name, value.data);
  else value.data.set(await folder.read(name));
  return value;
}
