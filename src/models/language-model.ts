import type { Engine, FloatValue } from "../engine/engine.ts";
import type { LlamaConfiguration } from "../families/configuration.ts";
import { llama } from "../families/llama.ts";
import type { LoraSettings } from "./lora.ts";
import type { Parameters, Weights } from "./parameters.ts";
import type { WeightPlan } from "./section-parameters.ts";
import { Transformer } from "./transformer.ts";

/** A transformer with weights. */
export interface LanguageModel {
  readonly configuration: LlamaConfiguration;
  readonly transformer: Transformer;
  readonly parameters: Weights;
  /** Those of the parameters that train: all, the adapter's, or none. */
  readonly trainable: Parameters;
  /** What to release when the model is not needed any more; the rest is mapped, or belongs to another model. */
  readonly memory: readonly FloatValue[];
  /** The settings of its adapter and the folder of the model below; undefined for a whole model. */
  readonly adapter?: { readonly lora: LoraSettings; readonly base: string };
}

/** The programs of a model with an adapter that masks the adapter's inputs. */
export function withDropout(engine: Engine, { configuration, transformer }: LanguageModel): Transformer {
  return new Transformer(engine, llama(configuration, { ...transformer.architecture.weights, dropout: true }));
}

/** The compiled programs for a configuration: those of `like` where they serve. */
export function transformerFor(
  engine: Engine,
  configuration: LlamaConfiguration,
  plan: WeightPlan,
  like: LanguageModel | undefined,
  { trains = true } = {},
): Transformer {
  const shared =
    like &&
    sharePrograms(like.configuration, configuration) &&
    JSON.stringify(like.transformer.architecture.weights) === JSON.stringify(plan);
  if (shared) return like.transformer;
  return new Transformer(engine, llama(configuration, trains ? plan : { ...plan, trained: "none" }));
}

/** Whether the programs compiled for one configuration serve the other: all that the programs depend on is the same. */
export function sharePrograms(one: LlamaConfiguration, other: LlamaConfiguration): boolean {
  return JSON.stringify({ ...one, raw: 0 }) === JSON.stringify({ ...other, raw: 0 });
}
