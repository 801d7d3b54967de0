import { z } from "zod";
import { add } from "../graph/ops/elementwise.ts";
import { rmsNorms } from "../models/norms.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { flag, tokenFields } from "./fields.ts";
import { type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { attentionOutput, buildLlama, gatedMlp, projections, rotated } from "./llama-block.ts";
import { ropeOnly } from "./rope-configuration.ts";

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' Olmo2Config.
 */
const keys = {
  used: {
    ...llamaFields,
    rms_norm_eps: z.number().positive().nullable().default(1e-5),
    attention_bias: flag(false),
    ...tokenFields({ bos: null, eos: 50279 }),
  },
  only: { hidden_act: { values: ["silu"] }, ...ropeOnly },
  harmless: ["attention_dropout"],
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * OLMo 2 (OLMo Team 2024, arXiv 2501.00656): a Llama with norms behind attention and MLP instead
 * of before, and over query and key of all heads together.
 */
export const olmo2: Family<LlamaConfiguration> = {
  ...llama,
  name: "olmo2",
  architectures: ["Olmo2ForCausalLM"],
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes(json, { file, contextLength: 2048 }),
      normEpsilon: json.rms_norm_eps ?? 1e-5,
      attentionBias: json.attention_bias,
      attentionOutputBias: json.attention_bias,
      mlpBias: false,
    };
  },
  build(c, plan) {
    const norm = rmsNorms(c.normEpsilon);
    return buildLlama(c, plan, {
      project(x, parameters, rotary) {
        const { query, key, value } = projections(x, parameters, c);
        const normed = {
          query: norm(query, parameters, "self_attn.q_norm"),
          key: norm(key, parameters, "self_attn.k_norm"),
        };
        return rotated({ ...normed, value, queryProduct: query, keyProduct: key }, c, rotary);
      },
      finish(x, context, parameters) {
        const attended = attentionOutput(context, parameters, c);
        const middle = add(x, norm(attended, parameters, "post_attention_layernorm"));
        const { output: fed, ...kept } = gatedMlp(middle, parameters, c);
        const output = add(middle, norm(fed, parameters, "post_feedforward_layernorm"));
        return { output, attended, middle, fed, ...kept };
      },
    });
  },
};
