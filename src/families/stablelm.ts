import { z } from "zod";
import { add, multiply } from "../graph/ops/elementwise.ts";
import { joinColumns, reshape } from "../graph/ops/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { layerNorms, standardized } from "../models/norms.ts";
import type { SectionParameters } from "../models/section-parameters.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { count, flag, onlyDivided, tokenFields } from "./fields.ts";
import { type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { attentionOutput, buildLlama, gatedMlp, projections, rotated } from "./llama-block.ts";

interface StableLmConfiguration extends LlamaConfiguration {
  /** Whether attention and MLP both read the block's normed input. */
  readonly parallel: boolean;
  /** Whether each head of query and key has a norm of its own. */
  readonly headNorms: boolean;
}

const { head_dim: _, rms_norm_eps: __, ...fields } = llamaFields;
const positive = z.number().positive();

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' StableLmConfig.
 */
const keys = {
  used: {
    ...fields,
    num_key_value_heads: count.nullable().default(32),
    layer_norm_eps: positive.nullish(),
    partial_rotary_factor: positive.nullish(),
    use_qkv_bias: flag(false),
    use_parallel_residual: flag(false),
    qk_layernorm: flag(false),
    ...tokenFields({ bos: 0, eos: 0 }),
  },
  only: { hidden_act: { values: ["silu", "swish"] }, head_dim: onlyDivided },
  harmless: ["attention_dropout", "hidden_dropout"],
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * StableLM 2 (Bellagente et al. 2024, arXiv 2402.17834): a Llama with LayerNorm and rotary
 * positions on a part of each head.
 */
export const stablelm: Family<StableLmConfiguration> = {
  ...llama,
  name: "stablelm",
  architectures: ["StableLmForCausalLM"],
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes(
        { ...json, num_key_value_heads: json.num_key_value_heads ?? 32, rms_norm_eps: json.layer_norm_eps ?? 1e-5 },
        { file, contextLength: 4096, rotaryShare: 0.25 },
      ),
      attentionBias: json.use_qkv_bias,
      attentionOutputBias: false,
      mlpBias: false,
      parallel: json.use_parallel_residual,
      headNorms: json.qk_layernorm,
    };
  },
  build(c, plan) {
    const norm = layerNorms(c.normEpsilon);
    return buildLlama(c, plan, {
      norm,
      project(x, parameters, rotary) {
        const heads = projections(norm(x, parameters, "input_layernorm"), parameters, c);
        if (!c.headNorms) return rotated(heads, c, rotary);
        const query = headNorms(heads.query, parameters, "self_attn.q_layernorm", c);
        const key = headNorms(heads.key, parameters, "self_attn.k_layernorm", c);
        return rotated({ ...heads, query, key, queryProduct: heads.query, keyProduct: heads.key }, c, rotary);
      },
      ...(c.parallel && {
        finish(x: Tensor, context: Tensor, parameters: SectionParameters) {
          const normed = norm(x, parameters, "input_layernorm", "input_layernorm again");
          const { output, ...kept } = gatedMlp(normed, parameters, c);
          return { output: add(add(x, attentionOutput(context, parameters, c)), output), ...kept };
        },
      }),
    });
  },
};

/** A LayerNorm over each head, with weights of its own and no bias. */
function headNorms(
  x: Tensor,
  parameters: SectionParameters,
  path: string,
  { headWidth, normEpsilon }: StableLmConfiguration,
): Tensor {
  const [tokens, width] = x.shape as [string, number];
  const heads = width / headWidth;
  const weights = Array.from({ length: heads }, (_, head) =>
    parameters.vector(`${path} ${head}`, `${path}.norms.${head}.weight`, headWidth),
  );
  const perHead = standardized(reshape(x, [tokens, heads, headWidth]), normEpsilon);
  return reshape(multiply(perHead, reshape(joinColumns(weights), [heads, headWidth])), [tokens, width]);
}
