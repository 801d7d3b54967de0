import { z } from "zod";
import { add, scale } from "../graph/ops/elementwise.ts";
import { rmsNorms } from "../models/norms.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { flag, tokenFields } from "./fields.ts";
import { type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { attentionOutput, buildLlama, gatedMlp } from "./llama-block.ts";
import { ropeOnly } from "./rope-configuration.ts";

interface GraniteConfiguration extends LlamaConfiguration {
  readonly embeddingScale: number;
  /** The factor on products of queries and keys, in place of 1 / √headWidth. */
  readonly scoreScale: number;
  /** The factor on what attention and MLP add to the hidden states. */
  readonly residualScale: number;
  readonly logitScale: number;
}

const factor = z.number().nullable().default(1);

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' GraniteConfig.
 */
const keys = {
  used: {
    ...llamaFields,
    attention_bias: flag(false),
    mlp_bias: flag(false),
    embedding_multiplier: factor,
    attention_multiplier: factor,
    residual_multiplier: factor,
    // Logits are divided by it.
    logits_scaling: z.number().positive().nullable().default(1),
    ...tokenFields({ bos: 1, eos: 2 }),
  },
  only: { hidden_act: { values: ["silu"] }, ...ropeOnly },
  harmless: ["attention_dropout"],
} satisfies ConfigKeys<z.ZodRawShape>;

/** Granite (IBM 2024): a Llama with factors on embeddings, scores, residuals and logits. */
export const granite: Family<GraniteConfiguration> = {
  ...llama,
  name: "granite",
  architectures: ["GraniteForCausalLM"],
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes(json, { file, contextLength: 2048 }),
      attentionBias: json.attention_bias,
      attentionOutputBias: json.attention_bias,
      mlpBias: json.mlp_bias,
      embeddingScale: json.embedding_multiplier ?? 1,
      scoreScale: json.attention_multiplier ?? 1,
      residualScale: json.residual_multiplier ?? 1,
      logitScale: 1 / (json.logits_scaling ?? 1),
    };
  },
  build(c, plan) {
    const norm = rmsNorms(c.normEpsilon);
    const parts = buildLlama(c, plan, {
      scoreScale: c.scoreScale,
      finish(x, context, parameters) {
        const middle = add(x, scale(attentionOutput(context, parameters, c), c.residualScale));
        const normed = norm(middle, parameters, "post_attention_layernorm");
        const { output: fed, ...kept } = gatedMlp(normed, parameters, c);
        return { output: add(middle, scale(fed, c.residualScale)), middle, ...kept };
      },
    });
    return { ...parts, embeddingScale: c.embeddingScale, finishLogits: (product) => scale(product, c.logitScale) };
  },
};
