import { z } from "zod";
import { type ConfigKeys, readKeys, unknownKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { count, flag, tokenFields } from "./fields.ts";
import { buildLlama, type LlamaConfiguration, llama, llamaSizes } from "./llama.ts";
import { ropeFields, ropeOnly } from "./rope-configuration.ts";

/** Only the sizes must be there; for the rest, a missing key means the default of transformers' MistralConfig. */
const keys = {
  used: {
    hidden_size: count,
    intermediate_size: count,
    num_hidden_layers: count,
    num_attention_heads: count,
    vocab_size: count,
    num_key_value_heads: count.nullable().default(8),
    head_dim: count.nullish(),
    max_position_embeddings: count.nullish(),
    rms_norm_eps: z.number().positive().nullish(),
    ...ropeFields,
    // Here null means that a token sees all before it.
    sliding_window: count.nullable().default(4096),
    tie_word_embeddings: flag(false),
    ...tokenFields({ bos: 1, eos: 2 }),
  },
  only: { hidden_act: { values: ["silu"] }, ...ropeOnly },
  harmless: ["attention_dropout"],
} satisfies ConfigKeys<z.ZodRawShape>;

/** Mistral (Jiang et al. 2023, arXiv 2310.06825): a Llama whose tokens see a window of the tokens before them. */
export const mistral: Family<LlamaConfiguration> = {
  ...llama,
  name: "mistral",
  architectures: ["MistralForCausalLM"],
  unknownKeys: (json) => unknownKeys(json, keys),
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes({ ...json, num_key_value_heads: json.num_key_value_heads ?? json.num_attention_heads }, file),
      contextLength: json.max_position_embeddings ?? 131072,
      window: json.sliding_window ?? undefined,
      attentionBias: false,
      attentionOutputBias: false,
      mlpBias: false,
    };
  },
  build: buildLlama,
};
