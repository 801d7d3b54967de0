import { z } from "zod";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { count, flag, tokenFields } from "./fields.ts";
import { windowFields, windowsOf } from "./layer-types.ts";
import { type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { ropeOnly } from "./rope-configuration.ts";

/** The keys of windows in Qwen2 and Qwen3. */
export const qwenWindowFields = {
  ...windowFields,
  sliding_window: count.nullable().default(4096),
  use_sliding_window: flag(false),
  max_window_layers: z.int().nonnegative().nullable().default(28),
};

/** Where windows are switched on, the layers from `max_window_layers` on have one. */
export function qwenWindows(
  json: z.output<z.ZodObject<typeof qwenWindowFields>> & { num_hidden_layers: number },
  file: string,
): (number | undefined)[] {
  const { use_sliding_window: on, sliding_window: window, max_window_layers: first } = json;
  return windowsOf(json, on ? window : null, (layer) => on && window !== null && layer >= (first ?? 28), file);
}

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' Qwen2Config.
 */
const keys = {
  used: {
    ...llamaFields,
    num_key_value_heads: count.nullable().default(32),
    ...qwenWindowFields,
    ...tokenFields({ bos: null, eos: null }),
  },
  only: {
    hidden_act: { values: ["silu"] },
    ...ropeOnly,
  },
  harmless: ["attention_dropout", "use_mrope"],
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv 2407.10671): a Llama whose query, key and value have
 * biases.
 */
export const qwen2: Family<LlamaConfiguration> = {
  ...llama,
  name: "qwen2",
  architectures: ["Qwen2ForCausalLM"],
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes(json, { file, contextLength: 32768 }),
      windows: qwenWindows(json, file),
      attentionBias: true,
      attentionOutputBias: false,
      mlpBias: false,
    };
  },
};
