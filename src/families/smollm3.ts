import { z } from "zod";
import { UserError } from "../errors.ts";
import { defineBlock } from "../models/block.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { count, flag, tokenFields } from "./fields.ts";
import { windowFields, windowsOf } from "./layer-types.ts";
import { type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { buildLlama, llamaBlock } from "./llama-block.ts";
import { ropeOnly } from "./rope-configuration.ts";

interface SmolLm3Configuration extends LlamaConfiguration {
  /** Whether each layer has rotary positions; the others have none at all. */
  readonly rotating: readonly boolean[];
}

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' SmolLM3Config.
 */
const keys = {
  used: {
    ...llamaFields,
    num_key_value_heads: count.nullable().default(4),
    attention_bias: flag(false),
    mlp_bias: flag(false),
    tie_word_embeddings: flag(true),
    // For each layer whether it has rotary positions.
    no_rope_layers: z.array(z.literal([0, 1])).nullish(),
    // Where no list is given: every how many layers one has none.
    no_rope_layer_interval: count.nullable().default(4),
    use_sliding_window: flag(false),
    ...windowFields,
    ...tokenFields({ bos: 128000, eos: 128001 }),
  },
  only: { hidden_act: { values: ["silu"] }, ...ropeOnly },
  // The last two are in published files, and in no class.
  harmless: ["attention_dropout", "max_window_layers", "pretraining_tp"],
} satisfies ConfigKeys<z.ZodRawShape>;

/** SmolLM3 (Hugging Face 2025): a Llama some of whose layers have no rotary positions. */
export const smollm3: Family<SmolLm3Configuration> = {
  ...llama,
  name: "smollm3",
  architectures: ["SmolLM3ForCausalLM"],
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    const rotating = rotatingLayers(json, file);
    const slides = json.use_sliding_window && Boolean(json.sliding_window);
    return {
      ...llamaSizes(json, { file, contextLength: 32768, theta: 2e6 }),
      rotating,
      windows: windowsOf(json, json.sliding_window, (layer) => slides && !rotating[layer], file),
      attentionBias: json.attention_bias,
      attentionOutputBias: json.attention_bias,
      mlpBias: json.mlp_bias,
    };
  },
  build(c, plan) {
    const parts = buildLlama(c, plan);
    const still = defineBlock(plan, { ...llamaBlock(c), rotaryWidth: 0 });
    const layers = parts.layers.map(({ window, ...layer }, index) =>
      c.rotating[index] ? { ...layer, window } : { block: still, window },
    );
    return { ...parts, layers };
  },
};

function rotatingLayers(json: z.output<z.ZodObject<typeof keys.used>>, file: string): boolean[] {
  const { no_rope_layers: listed, no_rope_layer_interval: interval, num_hidden_layers: layers } = json;
  if (listed && listed.length < layers) {
    const problem = `has entries for ${listed.length} layers, and there are ${layers}`;
    throw new UserError(problem, { file, field: "no_rope_layers" });
  }
  return Array.from({ length: layers }, (_, layer) =>
    listed ? listed[layer] === 1 : (layer + 1) % (interval ?? 4) !== 0,
  );
}
