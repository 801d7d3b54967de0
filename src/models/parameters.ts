import type { FloatValue } from "../engine/engine.ts";
import type { Value } from "../graph/tensor.ts";

/** A model's parameters by the checkpoint's names, in whatever format each is kept. */
export type ParameterValues = ReadonlyMap<string, Value>;

/** Parameters that train, or their gradients, by the checkpoint's names. */
export type Parameters = ReadonlyMap<string, FloatValue>;

/** The name of the scales of a parameter that was quantised on loading. */
export function scalesName(parameter: string): string {
  return `${parameter}.scales`;
}
