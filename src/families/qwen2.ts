import { z } from "zod";
import { type ConfigKeys, readKeys, unknownKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { count, tokenFields } from "./fields.ts";
import { buildLlama, type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { ropeOnly } from "./rope-configuration.ts";

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' Qwen2Config.
 */
const keys = {
  used: {
    ...llamaFields,
    num_key_value_heads: count.nullable().default(32),
    layer_types: z.array(z.literal("full_attention", "sliding windows are not supported")).nullish(),
    ...tokenFields({ bos: null, eos: null }),
  },
  only: {
    hidden_act: { values: ["silu"] },
    use_sliding_window: { values: [false], problem: "sliding windows are not supported" },
    ...ropeOnly,
  },
  // The last two say how large the windows are and which layers have them, where they are switched
  // on.
  harmless: ["attention_dropout", "use_mrope", "sliding_window", "max_window_layers"],
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv 2407.10671): a Llama whose query, key and value have
 * biases.
 */
export const qwen2: Family<LlamaConfiguration> = {
  ...llama,
  name: "qwen2",
  architectures: ["Qwen2ForCausalLM"],
  unknownKeys: (json) => unknownKeys(json, keys),
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes(json, file),
      contextLength: json.max_position_embeddings ?? 32768,
      attentionBias: true,
      attentionOutputBias: false,
      mlpBias: false,
    };
  },
  build: buildLlama,
};
