import type { z } from "zod";
import { rmsNorms } from "../models/norms.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { count, flag, tokenFields } from "./fields.ts";
import { type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { buildLlama, normedHeads, projections, rotated } from "./llama-block.ts";
import { qwenWindowFields, qwenWindows } from "./qwen2.ts";
import { ropeOnly } from "./rope-configuration.ts";

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' Qwen3Config.
 */
const keys = {
  used: {
    ...llamaFields,
    num_key_value_heads: count.nullable().default(32),
    // Not the width divided among the heads.
    head_dim: count.nullable().default(128),
    attention_bias: flag(false),
    ...qwenWindowFields,
    ...tokenFields({ bos: null, eos: null }),
  },
  only: { hidden_act: { values: ["silu"] }, ...ropeOnly },
  harmless: ["attention_dropout"],
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * Qwen3 (Yang et al. 2025, arXiv 2505.09388): a Llama with a norm over each head of query and key.
 */
export const qwen3: Family<LlamaConfiguration> = {
  ...llama,
  name: "qwen3",
  architectures: ["Qwen3ForCausalLM"],
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes(json, { file, contextLength: 32768 }),
      windows: qwenWindows(json, file),
      attentionBias: json.attention_bias,
      attentionOutputBias: json.attention_bias,
      mlpBias: false,
    };
  },
  build(c, plan) {
    const norm = rmsNorms(c.normEpsilon);
    return buildLlama(c, plan, {
      project(x, parameters, rotary) {
        const heads = projections(norm(x, parameters, "input_layernorm"), parameters, c);
        return rotated(normedHeads(heads, parameters, c, norm), c, rotary);
      },
    });
  },
};
