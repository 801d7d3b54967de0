import type { z } from "zod";
import { add } from "../graph/ops/elementwise.ts";
import { rmsNorms } from "../models/norms.ts";
import { type Activation, activationField, activationOf } from "./activations.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { count, flag, tokenFields } from "./fields.ts";
import { type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { attentionOutput, buildLlama, gatedMlp } from "./llama-block.ts";
import { ropeOnly } from "./rope-configuration.ts";

interface GemmaConfiguration extends LlamaConfiguration {
  readonly activation: Activation;
}

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' GemmaConfig.
 */
const keys = {
  used: {
    ...llamaFields,
    num_key_value_heads: count.nullable().default(16),
    head_dim: count.nullable().default(256),
    hidden_act: activationField("gelu_pytorch_tanh"),
    attention_bias: flag(false),
    tie_word_embeddings: flag(true),
    ...tokenFields({ bos: 2, eos: 1 }),
  },
  only: { use_bidirectional_attention: { values: [false] }, ...ropeOnly },
  harmless: ["attention_dropout"],
  // Its name in files of transformers 4.
  aliases: { hidden_activation: "hidden_act" },
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * Gemma (Gemma Team 2024, arXiv 2403.08295): a Llama with scaled embeddings, norms whose weights
 * are stored around 0, and GELU in the gate.
 */
export const gemma: Family<GemmaConfiguration> = {
  ...llama,
  name: "gemma",
  architectures: ["GemmaForCausalLM"],
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes(json, { file, contextLength: 8192 }),
      activation: json.hidden_act,
      attentionBias: json.attention_bias,
      attentionOutputBias: json.attention_bias,
      mlpBias: false,
    };
  },
  build(c, plan) {
    const norm = rmsNorms(c.normEpsilon, { offset: 1 });
    const parts = buildLlama(c, plan, {
      norm,
      finish(x, context, parameters) {
        const middle = add(x, attentionOutput(context, parameters, c));
        const normed = norm(middle, parameters, "post_attention_layernorm");
        const { output, ...kept } = gatedMlp(normed, parameters, c, activationOf(c.activation));
        return { output: add(middle, output), middle, ...kept };
      },
    });
    return { ...parts, embeddingScale: Math.sqrt(c.width) };
  },
};
