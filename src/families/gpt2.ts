import { z } from "zod";
import { add } from "../graph/ops/elementwise.ts";
import { columns } from "../graph/ops/shape.ts";
import { defineBlock } from "../models/block.ts";
import { layerNorms } from "../models/norms.ts";
import { activationField } from "./activations.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import { type Family, type Parsed, usualHead } from "./family.ts";
import { count, dividedAmong, flag, layerCount, tokenFields, tokensOf } from "./fields.ts";
import { type GptConfiguration, gptMlp, gptParts } from "./gpt-block.ts";

/** The keys that GPT-2 and GPT-J share, with the same defaults. Only the sizes must be there. */
export const gptFields = {
  vocab_size: count,
  n_positions: count,
  n_embd: count,
  n_layer: layerCount,
  n_head: count,
  n_inner: count.nullish(),
  activation_function: activationField("gelu_new"),
  layer_norm_epsilon: z.number().positive().nullish(),
  ...tokenFields({ bos: 50256, eos: 50256 }),
};

/** Other names of keys in the configurations of both. */
export const gptAliases = {
  hidden_size: "n_embd",
  max_position_embeddings: "n_positions",
  num_attention_heads: "n_head",
  num_hidden_layers: "n_layer",
};

/** Keys without effect in both. */
export const gptHarmless = [
  ...["attn_pdrop", "embd_pdrop", "resid_pdrop", "summary_activation", "summary_first_dropout", "summary_use_proj"],
  ...["summary_proj_to_labels", "summary_type"],
];

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' GPT2Config.
 */
const keys = {
  used: { ...gptFields, tie_word_embeddings: flag(true) },
  only: {
    scale_attn_weights: { values: [true] },
    scale_attn_by_inverse_layer_idx: { values: [false] },
  },
  // The last one says in which order, and how precisely, 16-bit scores are computed.
  harmless: [...gptHarmless, "n_ctx", "reorder_and_upcast_attn"],
  aliases: gptAliases,
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * GPT-2 (Radford et al. 2019): LayerNorm, learned positions, and matrices that are stored
 * transposed, those of query, key and value as one.
 */
export const gpt2: Family<GptConfiguration> = {
  name: "gpt2",
  architectures: ["GPT2LMHeadModel"],
  prefix: "transformer.",
  untiedHead: usualHead,
  layersKey: "n_layer",
  // The causal mask.
  buffers: /\.attn\.(bias|masked_bias)$/,
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return { ...gptSizes(json, file), tiedEmbeddings: json.tie_word_embeddings };
  },
  build(c, plan) {
    const norm = layerNorms(c.normEpsilon);
    const stored = { bias: true, transposed: true };
    const block = defineBlock(plan, {
      ...c,
      keyValueHeads: c.heads,
      rotaryWidth: 0,
      place: (layer) => `transformer.h.${layer}.`,
      project(x, parameters) {
        const projection = parameters.linear("projection", "attn.c_attn", 3 * c.width, c.width, stored);
        const all = projection(norm(x, parameters, "ln_1"));
        const part = (index: number) => columns(all, index * c.width, (index + 1) * c.width);
        return { query: part(0), key: part(1), value: part(2) };
      },
      finish(x, context, parameters) {
        const middle = add(x, parameters.linear("output", "attn.c_proj", c.width, c.width, stored)(context));
        const modules = ["mlp.c_fc", "mlp.c_proj"] as const;
        const { output, raised } = gptMlp(norm(middle, parameters, "ln_2"), parameters, c, modules, stored);
        return { output: add(middle, output), middle, raised };
      },
    });
    const layers = Array.from({ length: c.layers }, () => ({ block }));
    return {
      ...gptParts(c, plan, layers),
      positionEmbedding: { name: "transformer.wpe.weight", positions: c.contextLength },
    };
  },
};

/**
 * Interprets the keys of `gptFields`.
 *
 * @throws UserError if the width cannot be divided among the heads.
 */
export function gptSizes(
  json: z.output<z.ZodObject<typeof gptFields>>,
  file: string,
): Omit<Parsed<GptConfiguration>, "tiedEmbeddings"> {
  const { n_embd: width, n_head: heads } = json;
  return {
    width,
    layers: json.n_layer,
    heads,
    headWidth: dividedAmong({ width, heads }, { file, field: "n_embd" }),
    feedForwardWidth: json.n_inner ?? 4 * width,
    activation: json.activation_function,
    vocabularySize: json.vocab_size,
    contextLength: json.n_positions,
    normEpsilon: json.layer_norm_epsilon ?? 1e-5,
    ...tokensOf(json),
  };
}
