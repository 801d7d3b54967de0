import type { z } from "zod";
import { standardized } from "../models/norms.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { flag, tokenFields } from "./fields.ts";
import { type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { buildLlama } from "./llama-block.ts";
import { ropeOnly } from "./rope-configuration.ts";

const { rms_norm_eps: _, ...fields } = llamaFields;

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' OlmoConfig.
 */
const keys = {
  used: { ...fields, attention_bias: flag(false), ...tokenFields({ bos: null, eos: 50279 }) },
  only: { hidden_act: { values: ["silu"] }, clip_qkv: { values: [] }, ...ropeOnly },
  harmless: ["attention_dropout"],
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * OLMo (Groeneveld et al. 2024, arXiv 2402.00838): a Llama whose norms are LayerNorm without
 * weights.
 */
export const olmo: Family<LlamaConfiguration> = {
  ...llama,
  name: "olmo",
  architectures: ["OlmoForCausalLM"],
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes({ ...json, rms_norm_eps: 1e-5 }, { file, contextLength: 2048 }),
      attentionBias: json.attention_bias,
      attentionOutputBias: json.attention_bias,
      mlpBias: false,
    };
  },
  build: (c, plan) => buildLlama(c, plan, { norm: (x) => standardized(x, c.normEpsilon) }),
};
