import { z } from "zod";
import { geluTanh } from "../graph/ops/activations.ts";
import { add, softCap } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { ArchitectureParts } from "../models/architecture.ts";
import type { BlockDefinition } from "../models/block.ts";
import { rmsNorms } from "../models/norms.ts";
import type { ParameterPlan, SectionParameters } from "../models/section-parameters.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family, Parsed } from "./family.ts";
import { count, flag, tokenFields } from "./fields.ts";
import { windowFields, windowsOf } from "./layer-types.ts";
import { type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { attentionOutput, buildLlama, gatedMlp } from "./llama-block.ts";
import { ropeOnly } from "./rope-configuration.ts";

/** What the computation of a Gemma 2, or of a Gemma 3, depends on. */
export interface GemmaConfiguration extends LlamaConfiguration {
  /** The factor on products of queries and keys. */
  readonly scoreScale: number;
  readonly scoreCap: number | undefined;
  readonly logitCap: number | undefined;
}

const positive = z.number().positive();

/** Keys of config.json that Gemma 2 shares with Gemma 3. */
export const gemmaFields = {
  ...llamaFields,
  num_key_value_heads: count.nullable().default(4),
  head_dim: count.nullable().default(256),
  query_pre_attn_scalar: positive.nullable().default(256),
  attention_bias: flag(false),
  tie_word_embeddings: flag(true),
  ...windowFields,
  sliding_window: count.nullable().default(4096),
  ...tokenFields({ bos: 2, eos: 1 }),
};

export const gemmaOnly = {
  // Two names of one function.
  hidden_activation: { values: ["gelu_pytorch_tanh", "gelu_new"] },
  use_bidirectional_attention: { values: [false] },
};

/** `hidden_act` is in published files; transformers' classes pass over it. */
export const gemmaHarmless = ["attention_dropout", "cache_implementation", "hidden_act"];

/**
 * Only the sizes must be there; for the rest, a missing key means the default of transformers'
 * Gemma2Config.
 */
const keys = {
  used: {
    ...gemmaFields,
    // Here null means that there is no cap.
    attn_logit_softcapping: positive.nullable().default(50),
    final_logit_softcapping: positive.nullable().default(30),
  },
  only: { ...gemmaOnly, ...ropeOnly },
  harmless: gemmaHarmless,
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * Gemma 2 (Gemma Team 2024, arXiv 2408.00118): a Llama with scaled embeddings, soft caps, norms
 * also behind attention and MLP, and a window in every other layer.
 */
export const gemma2: Family<GemmaConfiguration> = {
  ...llama,
  name: "gemma2",
  architectures: ["Gemma2ForCausalLM"],
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...gemmaSizes(json, { file, contextLength: 8192 }),
      windows: windowsOf(json, json.sliding_window, (layer) => layer % 2 === 0, file),
      scoreCap: json.attn_logit_softcapping ?? undefined,
      logitCap: json.final_logit_softcapping ?? undefined,
    };
  },
  build: (c, plan) => buildGemma(c, plan),
};

/** Interprets what the configurations of Gemma 2 and 3 share. */
export function gemmaSizes(
  json: z.output<z.ZodObject<typeof gemmaFields>>,
  defaults: Parameters<typeof llamaSizes>[1],
): Omit<Parsed<GemmaConfiguration>, "windows" | "scoreCap" | "logitCap"> {
  return {
    ...llamaSizes(json, defaults),
    scoreScale: (json.query_pre_attn_scalar ?? 256) ** -0.5,
    attentionBias: json.attention_bias,
    attentionOutputBias: json.attention_bias,
    mlpBias: false,
  };
}

/** The norms of a Gemma, whose weights are stored around 0. */
export const gemmaNorms = (c: GemmaConfiguration) => rmsNorms(c.normEpsilon, { offset: 1 });

/**
 * The parts of a Gemma 2.
 *
 * @param changes what is another in its block
 */
export function buildGemma(
  c: GemmaConfiguration,
  plan: ParameterPlan,
  changes: Partial<BlockDefinition> = {},
): ArchitectureParts {
  const norm = gemmaNorms(c);
  const { scoreScale, scoreCap, logitCap } = c;
  const finish = (x: Tensor, context: Tensor, parameters: SectionParameters) => {
    const attended = attentionOutput(context, parameters, c);
    const middle = add(x, norm(attended, parameters, "post_attention_layernorm"));
    const normed = norm(middle, parameters, "pre_feedforward_layernorm");
    const { output: fed, ...kept } = gatedMlp(normed, parameters, c, geluTanh);
    const output = add(middle, norm(fed, parameters, "post_feedforward_layernorm"));
    return { output, attended, middle, fed, ...kept };
  };
  return {
    ...buildLlama(c, plan, { norm, scoreScale, scoreCap, finish, ...changes }),
    // In float32, as transformers has it where it computes in float32.
    embeddingScale: Math.sqrt(c.width),
    finishLogits: logitCap === undefined ? undefined : (product) => softCap(product, logitCap),
  };
}
