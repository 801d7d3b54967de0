import { z } from "zod";
import { add } from "../graph/ops/elementwise.ts";
import { columns, reshape } from "../graph/ops/shape.ts";
import { defineBlock } from "../models/block.ts";
import { finalNorm, layerNorms } from "../models/norms.ts";
import { rotaryOf, rotate } from "../models/rotary.ts";
import type { Rope } from "../models/rotary-frequencies.ts";
import { activationField } from "./activations.ts";
import { type ConfigKeys, type Only, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { count, dividedAmong, flag, layerCount, onlyDivided, tokenFields, tokensOf } from "./fields.ts";
import { type GptConfiguration, gptMlp } from "./gpt-block.ts";
import { parseRope, ropeFields } from "./rope-configuration.ts";

/** What the computation of a GPT-NeoX depends on. */
interface GptNeoxConfiguration extends GptConfiguration, Rope {
  readonly attentionBias: boolean;
  /** Whether attention and MLP both read the block's input, and not the MLP the attention's sum. */
  readonly parallel: boolean;
}

const positive = z.number().positive();
/** The defaults of two keys that have other names in some files. */
const usual = { rotary_emb_base: 10000, rotary_pct: 0.25 };
const instead = (key: keyof typeof usual): Only => ({
  values: [],
  problem: `is not what transformers reads: that is ${key}, or ${usual[key]}`,
});

const { rope_theta: _, ...rotary } = ropeFields;

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' GPTNeoXConfig.
 */
const keys = {
  used: {
    vocab_size: count,
    hidden_size: count,
    num_hidden_layers: layerCount,
    num_attention_heads: count,
    intermediate_size: count,
    hidden_act: activationField("gelu"),
    max_position_embeddings: count.nullable().default(2048),
    layer_norm_eps: positive.nullish(),
    use_parallel_residual: flag(true),
    attention_bias: flag(true),
    tie_word_embeddings: flag(false),
    ...rotary,
    rotary_emb_base: positive.nullish(),
    rotary_pct: positive.nullish(),
    ...tokenFields({ bos: 0, eos: 2 }),
  },
  only: {
    head_dim: onlyDivided,
    rope_theta: instead("rotary_emb_base"),
    partial_rotary_factor: instead("rotary_pct"),
  },
  harmless: ["attention_dropout", "hidden_dropout"],
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * GPT-NeoX (Black et al. 2022, arXiv 2204.06745), of which Pythia is one: LayerNorm, rotary
 * positions on a part of each head, and attention and MLP side by side.
 */
export const gptNeox: Family<GptNeoxConfiguration> = {
  name: "gpt_neox",
  architectures: ["GPTNeoXForCausalLM"],
  prefix: "gpt_neox.",
  untiedHead: "embed_out.weight",
  layersKey: "num_hidden_layers",
  // The causal mask, and the rotary frequencies.
  buffers: /\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/,
  keys,
  parse(raw, file) {
    const json = readKeys(withoutRepetitions(raw), keys, file);
    const { hidden_size: width, num_attention_heads: heads } = json;
    const headWidth = dividedAmong({ width, heads }, { file, field: "hidden_size" });
    const contextLength = json.max_position_embeddings ?? 2048;
    const rope = parseRope(
      { ...json, rope_theta: json.rotary_emb_base, partial_rotary_factor: json.rotary_pct },
      { file, headWidth, contextLength, rotaryShare: usual.rotary_pct },
    );
    return {
      width,
      layers: json.num_hidden_layers,
      heads,
      headWidth,
      feedForwardWidth: json.intermediate_size,
      activation: json.hidden_act,
      vocabularySize: json.vocab_size,
      contextLength,
      normEpsilon: json.layer_norm_eps ?? 1e-5,
      attentionBias: json.attention_bias,
      parallel: json.use_parallel_residual,
      ...rope,
      tiedEmbeddings: json.tie_word_embeddings,
      ...tokensOf(json),
    };
  },
  build(c, plan) {
    const norm = layerNorms(c.normEpsilon);
    const bias = { bias: c.attentionBias };
    const block = defineBlock(plan, {
      ...c,
      keyValueHeads: c.heads,
      place: (layer) => `gpt_neox.layers.${layer}.`,
      project(x, parameters, rotary) {
        const product = parameters.linear("projection", "attention.query_key_value", 3 * c.width, c.width, bias);
        // Head after head, each with its query, key and value.
        const perHead = reshape(product(norm(x, parameters, "input_layernorm")), ["tokens", c.heads, 3 * c.headWidth]);
        const [query, key, value] = [0, 1, 2].map((part) =>
          reshape(columns(perHead, part * c.headWidth, (part + 1) * c.headWidth), ["tokens", c.width]),
        );
        return { query: rotate(query!, c, rotary!), key: rotate(key!, c, rotary!), value: value! };
      },
      finish(x, context, parameters) {
        const middle = add(x, parameters.linear("output", "attention.dense", c.width, c.width, bias)(context));
        const normed = norm(c.parallel ? x : middle, parameters, "post_attention_layernorm");
        const { output, raised } = gptMlp(normed, parameters, c, ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"]);
        return { output: add(middle, output), raised, ...(!c.parallel && { middle }) };
      },
    });
    const rotary = rotaryOf(c, c.headWidth);
    return {
      embedding: "gpt_neox.embed_in.weight",
      layers: Array.from({ length: c.layers }, () => ({ block, rotary })),
      finalNorm: finalNorm(plan, { width: c.width, place: "gpt_neox." }, (x, parameters) =>
        norm(x, parameters, "final_layer_norm"),
      ),
      head: c.tiedEmbeddings ? "gpt_neox.embed_in.weight" : "embed_out.weight",
    };
  },
};

/**
 * Without the names that some versions of transformers wrote beside their own for two keys, where
 * they say the same.
 */
function withoutRepetitions(raw: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { rope_theta: theta, partial_rotary_factor: share, ...rest } = raw;
  const { rotary_emb_base = usual.rotary_emb_base, rotary_pct = usual.rotary_pct } = raw;
  return {
    ...rest,
    ...(theta !== rotary_emb_base && { rope_theta: theta }),
    ...(share !== rotary_pct && { partial_rotary_factor: share }),
  };
}
