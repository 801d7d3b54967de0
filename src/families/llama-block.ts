/** The block of a Llama, and the pieces of it from which families much like Llama make theirs. */
import { silu } from "../graph/ops/activations.ts";
import { add, multiply } from "../graph/ops/elementwise.ts";
import { reshape } from "../graph/ops/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { ArchitectureParts } from "../models/architecture.ts";
import { type BlockDefinition, defineBlock, type RotaryInputs } from "../models/block.ts";
import { finalNorm, rmsNorms } from "../models/norms.ts";
import { rotaryOf, rotate } from "../models/rotary.ts";
import type { ParameterPlan, SectionParameters } from "../models/section-parameters.ts";
import { usualHead } from "./family.ts";
import type { LlamaConfiguration } from "./llama.ts";

/** A norm of the model: x, and behind the section's place its name in checkpoints. */
export type Norm = ReturnType<typeof rmsNorms>;

/** Query, key and value of all heads, [tokens, heads * headWidth] each. */
type Projections = Readonly<Record<"query" | "key" | "value", Tensor>>;

/**
 * The parts of a Llama.
 *
 * @param changes what is another in its block
 */
export function buildLlama(
  c: LlamaConfiguration,
  plan: ParameterPlan,
  { norm = rmsNorms(c.normEpsilon), ...changes }: Partial<BlockDefinition> & { norm?: Norm } = {},
): ArchitectureParts {
  const block = defineBlock(plan, { ...llamaBlock(c, norm), ...changes });
  const rotary = rotaryOf(c, c.headWidth);
  return {
    embedding: "model.embed_tokens.weight",
    layers: Array.from({ length: c.layers }, (_, layer) => ({ block, rotary, window: c.windows?.[layer] })),
    finalNorm: finalNorm(plan, { width: c.width, place: "model." }, (x, parameters) => norm(x, parameters, "norm")),
    head: c.tiedEmbeddings ? "model.embed_tokens.weight" : usualHead,
  };
}

/** A block of a Llama. */
export function llamaBlock(c: LlamaConfiguration, norm = rmsNorms(c.normEpsilon)): BlockDefinition {
  return {
    width: c.width,
    heads: c.heads,
    keyValueHeads: c.keyValueHeads,
    headWidth: c.headWidth,
    rotaryWidth: c.headWidth,
    place: (layer) => `model.layers.${layer}.`,
    project: (x, parameters, rotary) =>
      rotated(projections(norm(x, parameters, "input_layernorm"), parameters, c), c, rotary),
    finish(x, context, parameters) {
      const middle = add(x, attentionOutput(context, parameters, c));
      const { output, ...kept } = gatedMlp(norm(middle, parameters, "post_attention_layernorm"), parameters, c);
      return { output: add(middle, output), middle, ...kept };
    },
  };
}

/** Three products with x [tokens, width]. */
export function projections(x: Tensor, parameters: SectionParameters, c: LlamaConfiguration): Projections {
  const product = (name: string, module: string, heads: number) =>
    parameters.linear(name, `self_attn.${module}`, heads * c.headWidth, c.width, { bias: c.attentionBias })(x);
  return {
    query: product("query", "q_proj", c.heads),
    key: product("key", "k_proj", c.keyValueHeads),
    value: product("value", "v_proj", c.keyValueHeads),
  };
}

/** Query and key with the tokens' positions, where the block has rotary positions. */
export function rotated<Projected extends Projections>(
  { query, key, ...rest }: Projected,
  c: LlamaConfiguration,
  rotary: RotaryInputs,
) {
  if (!rotary) return { query, key, ...rest };
  return { query: rotate(query, c, rotary), key: rotate(key, { ...c, heads: c.keyValueHeads }, rotary), ...rest };
}

/** Query and key with a norm over each head, as Qwen3 has it, and what a backward pass needs. */
export function normedHeads(
  { query, key, value }: Projections,
  parameters: SectionParameters,
  { headWidth }: LlamaConfiguration,
  norm: Norm,
): Projections & Readonly<Record<"queryProduct" | "keyProduct", Tensor>> {
  const perHead = (x: Tensor, path: string) => {
    const [tokens, width] = x.shape as [string, number];
    const heads = reshape(x, [tokens, width / headWidth, headWidth]);
    return reshape(norm(heads, parameters, path), [tokens, width]);
  };
  const normed = { query: perHead(query, "self_attn.q_norm"), key: perHead(key, "self_attn.k_norm") };
  return { ...normed, value, queryProduct: query, keyProduct: key };
}

/** What the attention adds to the hidden states, before any norm. */
export function attentionOutput(context: Tensor, parameters: SectionParameters, c: LlamaConfiguration): Tensor {
  const bias = { bias: c.attentionOutputBias };
  return parameters.linear("output", "self_attn.o_proj", c.width, c.heads * c.headWidth, bias)(context);
}

/**
 * The gated MLP (Shazeer 2020, arXiv 2002.05202): its output, and the products that a backward pass
 * needs.
 */
export function gatedMlp(
  x: Tensor,
  parameters: SectionParameters,
  c: LlamaConfiguration,
  activation: (x: Tensor) => Tensor = silu,
): Readonly<Record<"output" | "gate" | "up", Tensor>> {
  const bias = { bias: c.mlpBias };
  const gate = parameters.linear("gate", "mlp.gate_proj", c.feedForwardWidth, c.width, bias)(x);
  const up = parameters.linear("up", "mlp.up_proj", c.feedForwardWidth, c.width, bias)(x);
  const down = parameters.linear("down", "mlp.down_proj", c.width, c.feedForwardWidth, bias);
  return { output: down(multiply(activation(gate), up)), gate, up };
}
