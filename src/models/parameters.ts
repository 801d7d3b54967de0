import type { FloatValue } from "../engine/engine.ts";
import type { Value } from "../graph/tensor.ts";

/** Weights by the checkpoint's names, in whatever format each is kept. */
export type Weights = ReadonlyMap<string, Value>;

/** Weights that train, or their gradients, by the checkpoint's names. */
export type Parameters = ReadonlyMap<string, FloatValue>;
