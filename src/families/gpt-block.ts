/** What GPT-2 and the families after it have in common. */
import type { Tensor } from "../graph/tensor.ts";
import type { ArchitectureParts, Layer } from "../models/architecture.ts";
import type { ModelConfiguration } from "../models/configuration.ts";
import { finalNorm, layerNorms } from "../models/norms.ts";
import type { ParameterPlan, SectionParameters } from "../models/section-parameters.ts";
import { type Activation, activationOf } from "./activations.ts";
import { usualHead } from "./family.ts";

/** What the computation of each of them depends on. */
export interface GptConfiguration extends ModelConfiguration {
  readonly heads: number;
  readonly headWidth: number;
  readonly feedForwardWidth: number;
  readonly activation: Activation;
  readonly normEpsilon: number;
}

/** The parts of a GPT-2 with layers of any kind. */
export function gptParts(c: GptConfiguration, plan: ParameterPlan, layers: readonly Layer[]): ArchitectureParts {
  const norm = layerNorms(c.normEpsilon);
  const embedding = "transformer.wte.weight";
  return {
    embedding,
    layers,
    finalNorm: finalNorm(plan, { width: c.width, place: "transformer." }, (x, parameters) =>
      norm(x, parameters, "ln_f"),
    ),
    head: c.tiedEmbeddings ? embedding : usualHead,
  };
}

/**
 * Three products with x [tokens, width], without biases.
 *
 * @param place what stands before `q_proj` in the names of modules
 */
export function gptProjections(
  x: Tensor,
  parameters: SectionParameters,
  { width }: GptConfiguration,
  place: string,
): Readonly<Record<"query" | "key" | "value", Tensor>> {
  const product = (name: "query" | "key" | "value") =>
    parameters.linear(name, `${place}${name[0]}_proj`, width, width)(x);
  return { query: product("query"), key: product("key"), value: product("value") };
}

/**
 * The MLP of two layers and an activation between them: its output, and the product that a backward
 * pass needs.
 *
 * @param modules the names of the layers, `mlp.c_fc` and `mlp.c_proj`, say
 */
export function gptMlp(
  x: Tensor,
  parameters: SectionParameters,
  { width, feedForwardWidth, activation }: Pick<GptConfiguration, "width" | "feedForwardWidth" | "activation">,
  modules: readonly [up: string, down: string],
  stored: { transposed?: boolean } = {},
): Readonly<Record<"output" | "raised", Tensor>> {
  const up = parameters.linear("up", modules[0], feedForwardWidth, width, { bias: true, ...stored });
  const down = parameters.linear("down", modules[1], width, feedForwardWidth, { bias: true, ...stored });
  const raised = up(x);
  return { output: down(activationOf(activation)(raised)), raised };
}
