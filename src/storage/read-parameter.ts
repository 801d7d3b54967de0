import type { Engine, FloatValue } from "../engine/engine.ts";
import type { ModelFolder } from "./folder.ts";

/** Reads a parameter into memory of the engine, as floats. */
export async function readParameter(engine: Engine, folder: ModelFolder, name: string): Promise<FloatValue> {
  const value = engine.allocate(folder.parameters.get(name)!.shape);
  await engine.load(value, (into) => folder.read(name, into));
  return value;
}
