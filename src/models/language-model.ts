import type { Engine, FloatValue } from "../engine/engine.ts";
import type { Architecture } from "./architecture.ts";
import type { ModelConfiguration } from "./configuration.ts";
import type { LoraSettings } from "./lora.ts";
import type { Parameters, ParameterValues } from "./parameters.ts";
import { Transformer } from "./transformer.ts";

/** A transformer with its parameters. */
export interface LanguageModel {
  readonly configuration: ModelConfiguration;
  readonly transformer: Transformer;
  readonly parameters: ParameterValues;
  /** Those of the parameters that train: all, the adapter's, or none. */
  readonly trainable: Parameters;
  /**
   * The values to release when the model is not needed any more; the rest is mapped, or belongs to
   * another model.
   */
  readonly memory: readonly FloatValue[];
  /** The settings of its adapter and the folder of the model below; undefined for a whole model. */
  readonly adapter?: { readonly lora: LoraSettings; readonly base: string };
}

/** The programs of a model with an adapter that masks the adapter's inputs. */
export function withDropout(engine: Engine, { transformer: { architecture } }: LanguageModel): Transformer {
  return new Transformer(engine, architecture.replan({ ...architecture.plan, dropout: true }));
}

/** The compiled programs of an architecture: those of `like` where they serve. */
export function transformerFor(
  engine: Engine,
  architecture: Architecture,
  like: LanguageModel | undefined,
  { trains = true } = {},
): Transformer {
  const { configuration, plan } = architecture;
  const shared =
    like &&
    sharePrograms(like.configuration, configuration) &&
    JSON.stringify(like.transformer.architecture.plan) === JSON.stringify(plan);
  if (shared) return like.transformer;
  return new Transformer(engine, trains ? architecture : architecture.replan({ ...plan, trained: "none" }));
}

/**
 * True if the programs of one configuration serve the other: all that they depend on is the same.
 */
export function sharePrograms(one: ModelConfiguration, other: ModelConfiguration): boolean {
  return JSON.stringify({ ...one, raw: 0 }) === JSON.stringify({ ...other, raw: 0 });
}
