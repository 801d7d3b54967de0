import type { z } from "zod";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { count, tokenFields } from "./fields.ts";
import { windowsOf } from "./layer-types.ts";
import { type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { ropeOnly } from "./rope-configuration.ts";

/**
 * Only the sizes must be there; for the rest, a missing key means the default of transformers'
 * MistralConfig.
 */
const keys = {
  used: {
    ...llamaFields,
    num_key_value_heads: count.nullable().default(8),
    // Here null means that a token sees all before it.
    sliding_window: count.nullable().default(4096),
    ...tokenFields({ bos: 1, eos: 2 }),
  },
  only: { hidden_act: { values: ["silu"] }, ...ropeOnly },
  harmless: ["attention_dropout"],
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * Mistral (Jiang et al. 2023, arXiv 2310.06825): a Llama whose tokens see a window of the tokens
 * before them.
 */
export const mistral: Family<LlamaConfiguration> = {
  ...llama,
  name: "mistral",
  architectures: ["MistralForCausalLM"],
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes(json, { file, contextLength: 131072 }),
      windows: windowsOf(json, json.sliding_window, () => json.sliding_window !== null, file),
      attentionBias: false,
      attentionOutputBias: false,
      mlpBias: false,
    };
  },
};
