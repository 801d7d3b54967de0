import { z } from "zod";
import { UserError } from "../errors.ts";
import type { ModelConfiguration } from "../models/configuration.ts";
import type { Rope } from "../models/rotary-frequencies.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import { type Family, type Parsed, usualHead } from "./family.ts";
import { count, dividedAmong, flag, layerCount, tokenFields, tokensOf } from "./fields.ts";
import { buildLlama } from "./llama-block.ts";
import { parseRope, type RopeSurroundings, ropeFields, ropeOnly } from "./rope-configuration.ts";

/** What the computation of a Llama model, or of one much like it, depends on. */
export interface LlamaConfiguration extends ModelConfiguration, Rope {
  readonly heads: number;
  /** Divides `heads`; each is shared by as many query heads. */
  readonly keyValueHeads: number;
  readonly headWidth: number;
  readonly feedForwardWidth: number;
  readonly normEpsilon: number;
  /** Whether query, key and value have biases. */
  readonly attentionBias: boolean;
  readonly attentionOutputBias: boolean;
  readonly mlpBias: boolean;
  /**
   * For each layer the most positions back that a token sees, itself included; undefined where it
   * sees all. Absent where all layers see all.
   */
  readonly windows?: readonly (number | undefined)[];
}

/**
 * The keys of config.json that Llama shares with the families much like it. Only the sizes must be
 * there.
 */
export const llamaFields = {
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  vocab_size: count,
  // Missing or null: as many as there are heads, where the family has no other default.
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  max_position_embeddings: count.nullish(),
  rms_norm_eps: z.number().positive().nullish(),
  ...ropeFields,
  tie_word_embeddings: flag(false),
};

/** A missing key or a null means the default of transformers' LlamaConfig. */
const keys = {
  used: {
    ...llamaFields,
    attention_bias: flag(false),
    mlp_bias: flag(false),
    ...tokenFields({ bos: 1, eos: 2 }),
  },
  only: {
    hidden_act: { values: ["silu"] },
    pretraining_tp: { values: [1], hint: "1 computes the same up to rounding" },
    ...ropeOnly,
  },
  harmless: ["attention_dropout", "is_llama_config"],
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * The Llama architecture (Touvron et al. 2023): RMSNorm, rotary positions, grouped-query attention,
 * gated MLP.
 */
export const llama: Family<LlamaConfiguration> = {
  name: "llama",
  architectures: ["LlamaForCausalLM"],
  prefix: "model.",
  untiedHead: usualHead,
  layersKey: "num_hidden_layers",
  buffers: /rotary_emb\.inv_freq$/,
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes(json, { file, contextLength: 2048 }),
      attentionBias: json.attention_bias,
      attentionOutputBias: json.attention_bias,
      mlpBias: json.mlp_bias,
    };
  },
  build: (c, plan) => buildLlama(c, plan),
};

/** The values of the keys that configurations much like Llama's share. */
type SharedKeys = Omit<z.output<z.ZodObject<typeof keys.used>>, "attention_bias" | "mlp_bias">;

/**
 * Interprets what configurations much like Llama's share.
 *
 * @param defaults of the class; `contextLength` is its `max_position_embeddings`
 * @throws UserError if the sizes do not fit together.
 */
export function llamaSizes(
  json: SharedKeys,
  { file, ...defaults }: Omit<RopeSurroundings, "headWidth">,
): Omit<Parsed<LlamaConfiguration>, "windows" | "attentionBias" | "attentionOutputBias" | "mlpBias"> {
  const { hidden_size: width, num_attention_heads: heads } = json;
  const keyValueHeads = json.num_key_value_heads ?? heads;
  const headWidth = json.head_dim ?? dividedAmong({ width, heads }, { file, field: "hidden_size" });
  if (headWidth % 2 !== 0) {
    throw new UserError(`must be even for rotary embeddings, found ${headWidth}`, { file, field: "head_dim" });
  }
  if (heads % keyValueHeads !== 0) {
    const problem = `${keyValueHeads} key-value heads cannot be shared evenly by ${heads} heads`;
    throw new UserError(problem, { file, field: "num_key_value_heads" });
  }
  const contextLength = json.max_position_embeddings ?? defaults.contextLength;
  return {
    width,
    layers: json.num_hidden_layers,
    heads,
    keyValueHeads,
    headWidth,
    feedForwardWidth: json.intermediate_size,
    vocabularySize: json.vocab_size,
    contextLength,
    normEpsilon: json.rms_norm_eps ?? 1e-6,
    ...parseRope(json, { ...defaults, file, headWidth, contextLength }),
    tiedEmbeddings: json.tie_word_embeddings,
    ...tokensOf(json),
  };
}
