import { defineProgram } from "../../graph/program.ts";
import type { Tensor, Value } from "../../graph/tensor.ts";
import { randomValues } from "../../graph/testing/values.ts";
import { type Engine, type FloatValue, upload } from "../engine.ts";

/** A value in the engine's memory and precision. */
export function valueIn(engine: Engine, { shape, data }: Value): FloatValue {
  return upload(engine, shape, data);
}

/** Compiles a program and runs it once. */
export async function runOnce(
  engine: Engine,
  inputs: Readonly<Record<string, Tensor>>,
  outputs: Readonly<Record<string, Tensor>>,
  values: Readonly<Record<string, Value>>,
): Promise<Record<string, FloatValue>> {
  const executable = engine.compile(defineProgram("test", inputs, outputs));
  const results = await executable.run(values);
  executable.dispose();
  return results;
}

/** Random floats in the engine for some tensors. */
export function randomIn(
  engine: Engine,
  tensors: Readonly<Record<string, Tensor>>,
  options: Parameters<typeof randomValues>[1] = {},
): Record<string, FloatValue> {
  const values = Object.entries(randomValues(tensors, options));
  return Object.fromEntries(values.map(([name, value]) => [name, valueIn(engine, value)]));
}

/** A vector in the engine. */
export function vectorIn(engine: Engine, ...numbers: number[]): FloatValue {
  return valueIn(engine, { shape: [numbers.length], data: Float64Array.from(numbers) });
}

export function arrayOf({ data }: Value): number[] {
  return Array.from(data);
}
