import { z } from "zod";
import { UserError } from "../errors.ts";
import { add, multiply, silu } from "../graph/ops/elementwise.ts";
import type { ArchitectureParts } from "../models/architecture.ts";
import { defineBlock } from "../models/block.ts";
import type { ModelConfiguration } from "../models/configuration.ts";
import { finalNorm, rmsNorm } from "../models/norms.ts";
import { type Rope, rotaryOf, rotate } from "../models/rotary.ts";
import type { ParameterPlan } from "../models/section-parameters.ts";
import { type ConfigKeys, readKeys, unknownKeys } from "./config-keys.ts";
import { type Family, type Parsed, untiedHead } from "./family.ts";
import { count, dividedAmong, flag, tokenFields, tokensOf } from "./fields.ts";
import { parseRope, ropeFields, ropeOnly } from "./rope-configuration.ts";

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
  /** The most positions back that a token sees, itself included; all if absent. */
  readonly window?: number | undefined;
}

/**
 * The keys of config.json that Llama shares with the families much like it. Only the sizes must be
 * there.
 */
export const llamaFields = {
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
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
  layersKey: "num_hidden_layers",
  buffers: /rotary_emb\.inv_freq$/,
  unknownKeys: (json) => unknownKeys(json, keys),
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes(json, file),
      contextLength: json.max_position_embeddings ?? 2048,
      attentionBias: json.attention_bias,
      attentionOutputBias: json.attention_bias,
      mlpBias: json.mlp_bias,
    };
  },
  build: buildLlama,
};

/** The values of the keys that configurations much like Llama's share. */
type SharedKeys = Omit<z.output<z.ZodObject<typeof keys.used>>, "attention_bias" | "mlp_bias">;

/**
 * Interprets what configurations much like Llama's share.
 *
 * @throws UserError if the sizes do not fit together.
 */
export function llamaSizes(
  json: SharedKeys,
  file: string,
): Omit<Parsed<LlamaConfiguration>, "contextLength" | "window" | "attentionBias" | "attentionOutputBias" | "mlpBias"> {
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
  return {
    width,
    layers: json.num_hidden_layers,
    heads,
    keyValueHeads,
    headWidth,
    feedForwardWidth: json.intermediate_size,
    vocabularySize: json.vocab_size,
    normEpsilon: json.rms_norm_eps ?? 1e-6,
    ...parseRope(json, file),
    tiedEmbeddings: json.tie_word_embeddings,
    ...tokensOf(json),
  };
}

/** The parts of a Llama, or of a model that differs in its biases or its window only. */
export function buildLlama(c: LlamaConfiguration, plan: ParameterPlan): ArchitectureParts {
  const [queryWidth, keyValueWidth] = [c.heads * c.headWidth, c.keyValueHeads * c.headWidth];
  const block = defineBlock(plan, {
    ...c,
    rotaryWidth: c.headWidth,
    place: (layer) => `model.layers.${layer}.`,
    project(x, parameters, rotary) {
      const bias = { bias: c.attentionBias };
      const normed = rmsNorm(x, parameters.vector("inputNorm", "input_layernorm.weight", c.width), c.normEpsilon);
      const query = parameters.linear("query", "self_attn.q_proj", queryWidth, c.width, bias)(normed);
      const key = parameters.linear("key", "self_attn.k_proj", keyValueWidth, c.width, bias)(normed);
      const value = parameters.linear("value", "self_attn.v_proj", keyValueWidth, c.width, bias)(normed);
      return {
        query: rotate(query, c, rotary!),
        key: rotate(key, { ...c, heads: c.keyValueHeads }, rotary!),
        value,
      };
    },
    finish(x, context, parameters) {
      const bias = { bias: c.mlpBias };
      const output = parameters.linear("output", "self_attn.o_proj", c.width, queryWidth, {
        bias: c.attentionOutputBias,
      });
      const middle = add(x, output(context));
      const norm = parameters.vector("postAttentionNorm", "post_attention_layernorm.weight", c.width);
      const normed = rmsNorm(middle, norm, c.normEpsilon);
      const gate = parameters.linear("gate", "mlp.gate_proj", c.feedForwardWidth, c.width, bias)(normed);
      const up = parameters.linear("up", "mlp.up_proj", c.feedForwardWidth, c.width, bias)(normed);
      const down = parameters.linear("down", "mlp.down_proj", c.width, c.feedForwardWidth, bias);
      return { output: add(middle, down(multiply(silu(gate), up))), middle, gate, up };
    },
  });
  const rotary = rotaryOf(c, c.headWidth);
  return {
    embedding: "model.embed_tokens.weight",
    layers: Array.from({ length: c.layers }, () => ({ block, rotary, window: c.window })),
    finalNorm: finalNorm(plan, { width: c.width, place: "model." }, (x, parameters) =>
      rmsNorm(x, parameters.vector("norm", "norm.weight", c.width), c.normEpsilon),
    ),
    head: c.tiedEmbeddings ? "model.embed_tokens.weight" : untiedHead,
  };
}
