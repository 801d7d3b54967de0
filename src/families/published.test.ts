/**
 * Models as they are published: their configurations are taken, and the parameters that these
 * describe are as many as the models have.
 */
import { expect, test } from "vitest";
import { parameterShapes } from "../models/architecture.ts";
import { unknownKeys } from "./config-keys.ts";
import { architectureOf, familyOf, parseConfiguration } from "./registry.ts";

interface Published {
  /** As the model's weights have them, without a tied head. */
  readonly parameters: number;
  readonly json: Readonly<Record<string, unknown>>;
}

/** [hidden_size, intermediate_size, layers, heads, key-value heads, vocab_size] */
function sizes(...[width, feedForward, layers, heads, keyValueHeads, vocabulary]: readonly number[]) {
  return {
    ...{ hidden_size: width, intermediate_size: feedForward, num_hidden_layers: layers },
    ...{ num_attention_heads: heads, num_key_value_heads: keyValueHeads, vocab_size: vocabulary },
  };
}

const llama = {
  ...{ architectures: ["LlamaForCausalLM"], model_type: "llama", attention_bias: false, mlp_bias: false },
  ...{ hidden_act: "silu", initializer_range: 0.02, pretraining_tp: 1, rope_scaling: null, torch_dtype: "bfloat16" },
};
const qwen2 = {
  ...{ architectures: ["Qwen2ForCausalLM"], model_type: "qwen2", attention_dropout: 0, hidden_act: "silu" },
  ...{ max_window_layers: 21, rms_norm_eps: 1e-6, sliding_window: 4096, use_mrope: false, use_sliding_window: false },
};
const gemma = {
  ...{ attention_bias: false, attention_dropout: 0, bos_token_id: 2, cache_implementation: "hybrid", pad_token_id: 0 },
  ...{ head_dim: 256, hidden_activation: "gelu_pytorch_tanh", query_pre_attn_scalar: 256, rms_norm_eps: 1e-6 },
};
const gemma3 = {
  ...{ architectures: ["Gemma3ForCausalLM"], model_type: "gemma3_text", eos_token_id: [1, 106], ...gemma },
  ...{ attn_logit_softcapping: null, final_logit_softcapping: null, max_position_embeddings: 32768 },
  ...{ rope_local_base_freq: 10000, rope_scaling: null, rope_theta: 1e6, sliding_window: 512 },
};

const phi3 = {
  ...{ architectures: ["Phi3ForCausalLM"], model_type: "phi3", attention_bias: false, attention_dropout: 0 },
  ...{ embd_pdrop: 0, resid_pdrop: 0, hidden_act: "silu", original_max_position_embeddings: 4096, rope_theta: 10000 },
  ...{ auto_map: { AutoConfig: "configuration_phi3.Phi3Config" }, rms_norm_eps: 1e-5, tie_word_embeddings: false },
};
const pythia = {
  ...{ architectures: ["GPTNeoXForCausalLM"], model_type: "gpt_neox", bos_token_id: 0, eos_token_id: 0 },
  ...{ hidden_act: "gelu", layer_norm_eps: 1e-5, max_position_embeddings: 2048, rotary_emb_base: 10000 },
  ...{ rotary_pct: 0.25, tie_word_embeddings: false, use_parallel_residual: true, vocab_size: 50304 },
};

/** [hidden_size, intermediate_size, layers, heads] */
function neoxSizes(...[width, feedForward, layers, heads]: readonly number[]) {
  return {
    ...{ hidden_size: width, intermediate_size: feedForward, num_hidden_layers: layers },
    num_attention_heads: heads,
  };
}

const published: Readonly<Record<string, Published>> = {
  "TinyLlama-1.1B": {
    parameters: 1_100_048_384,
    json: { ...llama, ...sizes(2048, 5632, 22, 32, 4, 32000), rms_norm_eps: 1e-5, tie_word_embeddings: false },
  },
  "Falcon3-1B": {
    parameters: 1_669_408_768,
    json: {
      ...{ ...llama, ...sizes(2048, 8192, 18, 8, 4, 131072), head_dim: 256, rope_theta: 1000042 },
      ...{ tie_word_embeddings: false, eos_token_id: 11, pad_token_id: 2023 },
    },
  },
  "SmolLM2-135M": {
    parameters: 134_515_008,
    json: { ...llama, ...sizes(576, 1536, 30, 9, 3, 49152), rope_theta: 1e5, tie_word_embeddings: true },
  },
  "DeepSeek-R1-Distill-Qwen-1.5B": {
    parameters: 1_777_088_000,
    json: {
      ...{ ...qwen2, ...sizes(1536, 8960, 28, 12, 2, 151936), rope_theta: 10000, tie_word_embeddings: false },
      ...{ bos_token_id: 151643, eos_token_id: 151643, max_position_embeddings: 131072 },
    },
  },
  "Qwen2.5-0.5B": {
    parameters: 494_032_768,
    json: { ...qwen2, ...sizes(896, 4864, 24, 14, 2, 151936), rope_theta: 1e6, tie_word_embeddings: true },
  },
  "Qwen3-0.6B": {
    parameters: 596_049_920,
    json: {
      ...{ architectures: ["Qwen3ForCausalLM"], model_type: "qwen3", attention_bias: false, head_dim: 128 },
      ...{ ...sizes(1024, 3072, 28, 16, 8, 151936), hidden_act: "silu", max_window_layers: 28, rope_scaling: null },
      ...{ rope_theta: 1e6, sliding_window: null, tie_word_embeddings: true, use_sliding_window: false },
    },
  },
  "SmolLM3-3B": {
    parameters: 3_075_098_624,
    json: {
      ...{ architectures: ["SmolLM3ForCausalLM"], model_type: "smollm3", ...sizes(2048, 11008, 36, 16, 4, 128256) },
      ...{ max_window_layers: 28, no_rope_layer_interval: 4, pretraining_tp: 2, rope_theta: 5e6, mlp_bias: false },
      no_rope_layers: Array.from({ length: 9 }, () => [1, 1, 1, 0]).flat(),
      layer_types: Array.from({ length: 36 }, () => "full_attention"),
    },
  },
  "Gemma-2B": {
    parameters: 2_506_172_416,
    json: {
      ...{ architectures: ["GemmaForCausalLM"], model_type: "gemma", attention_bias: false, attention_dropout: 0 },
      ...{ ...sizes(2048, 16384, 18, 8, 1, 256000), head_dim: 256, hidden_act: "gelu", hidden_activation: null },
      ...{ bos_token_id: 2, eos_token_id: 1, pad_token_id: 0, rms_norm_eps: 1e-6, rope_scaling: null },
    },
  },
  "Gemma-2-2B": {
    parameters: 2_614_341_888,
    json: {
      ...{ architectures: ["Gemma2ForCausalLM"], model_type: "gemma2", ...gemma, eos_token_id: 1 },
      ...{ ...sizes(2304, 9216, 26, 8, 4, 256000), attn_logit_softcapping: 50, final_logit_softcapping: 30 },
      ...{ hidden_act: "gelu_pytorch_tanh", rope_theta: 10000, sliding_window: 4096 },
    },
  },
  "Gemma-3-270M": {
    parameters: 268_098_176,
    json: {
      ...{ ...gemma3, ...sizes(640, 2048, 18, 4, 1, 262144), _sliding_window_pattern: 6 },
      layer_types: Array.from({ length: 18 }, (_, layer) => (layer % 6 === 5 ? "full_attention" : "sliding_attention")),
      use_bidirectional_attention: false,
    },
  },
  "Gemma-3-1B": {
    parameters: 999_885_952,
    json: { ...gemma3, ...sizes(1152, 6912, 26, 4, 1, 262144), sliding_window_pattern: 6 },
  },
  "OLMo-1B": {
    parameters: 1_176_764_416,
    json: {
      ...{ architectures: ["OlmoForCausalLM"], model_type: "olmo", ...sizes(2048, 8192, 16, 16, 16, 50304) },
      ...{ attention_bias: false, clip_qkv: null, eos_token_id: 50279, rope_scaling: null, tie_word_embeddings: true },
    },
  },
  "OLMo-2-1B": {
    parameters: 1_484_916_736,
    json: {
      ...{ architectures: ["Olmo2ForCausalLM"], model_type: "olmo2", ...sizes(2048, 8192, 16, 16, 16, 100352) },
      ...{ attention_bias: false, eos_token_id: 100257, rms_norm_eps: 1e-6, rope_scaling: null, rope_theta: 5e5 },
    },
  },
  "Granite-3.1-2B-Instruct": {
    parameters: 2_533_531_648,
    json: {
      ...{ architectures: ["GraniteForCausalLM"], model_type: "granite", ...sizes(2048, 8192, 40, 32, 8, 49155) },
      ...{ attention_dropout: 0.1, attention_multiplier: 0.015625, embedding_multiplier: 12, logits_scaling: 8 },
      ...{ residual_multiplier: 0.22, rope_theta: 5e6, tie_word_embeddings: true, mlp_bias: false },
    },
  },
  "Phi-3-mini-4k-instruct": {
    parameters: 3_821_079_552,
    json: {
      ...{ ...phi3, ...sizes(3072, 8192, 32, 32, 32, 32064), max_position_embeddings: 4096, rope_scaling: null },
      ...{ bos_token_id: 1, eos_token_id: 32000, pad_token_id: 32000, sliding_window: 2047 },
    },
  },
  "Phi-4-mini-instruct": {
    parameters: 3_836_021_760,
    json: {
      ...{ ...phi3, ...sizes(3072, 8192, 32, 24, 8, 200064), max_position_embeddings: 131072, mlp_bias: false },
      ...{ bos_token_id: 199999, eos_token_id: 199999, pad_token_id: 199999, sliding_window: 262144 },
      ...{ full_attn_mod: 1, interpolate_factor: 1, lm_head_bias: false, partial_rotary_factor: 0.75 },
      rope_scaling: { long_factor: Array(48).fill(2), short_factor: Array(48).fill(1), type: "longrope" },
      tie_word_embeddings: true,
    },
  },
  "StableLM-2-1.6B": {
    parameters: 1_644_515_328,
    json: {
      ...{ architectures: ["StableLmForCausalLM"], model_type: "stablelm", ...sizes(2048, 5632, 24, 32, 32, 100352) },
      ...{ bos_token_id: 100257, eos_token_id: 100257, hidden_act: "silu", layer_norm_eps: 1e-5, use_qkv_bias: true },
      ...{ partial_rotary_factor: 0.25, rope_theta: 10000, tie_word_embeddings: false, max_position_embeddings: 4096 },
    },
  },
  "Pythia-160M": {
    parameters: 162_322_944,
    json: { ...pythia, ...neoxSizes(768, 3072, 12, 12) },
  },
  "Pythia-410M": {
    parameters: 405_334_016,
    json: { ...pythia, ...neoxSizes(1024, 4096, 24, 16) },
  },
  "GPT-J-6B": {
    parameters: 6_050_882_784,
    json: {
      ...{ architectures: ["GPTJForCausalLM"], model_type: "gptj", activation_function: "gelu_new", attn_pdrop: 0 },
      ...{ bos_token_id: 50256, eos_token_id: 50256, gradient_checkpointing: false, layer_norm_epsilon: 1e-5 },
      ...{ n_embd: 4096, n_head: 16, n_inner: null, n_layer: 28, n_positions: 2048, rotary: true, rotary_dim: 64 },
      ...{ scale_attn_weights: true, summary_type: "cls_index", tie_word_embeddings: false, vocab_size: 50400 },
    },
  },
  "Phi-2": {
    parameters: 2_779_683_840,
    json: {
      ...{ architectures: ["PhiForCausalLM"], model_type: "phi", ...sizes(2560, 10240, 32, 32, 32, 51200) },
      ...{ embd_pdrop: 0, hidden_act: "gelu_new", layer_norm_eps: 1e-5, max_position_embeddings: 2048 },
      ...{ partial_rotary_factor: 0.4, qk_layernorm: false, resid_pdrop: 0.1, rope_scaling: null, rope_theta: 10000 },
    },
  },
  "GPT-Neo-125M": {
    parameters: 125_198_592,
    json: {
      ...{ architectures: ["GPTNeoForCausalLM"], model_type: "gpt_neo", activation_function: "gelu_new" },
      ...{ attention_dropout: 0, attention_types: [[["global", "local"], 6]], embed_dropout: 0, hidden_size: 768 },
      attention_layers: Array.from({ length: 6 }, () => ["global", "local"]).flat(),
      ...{ intermediate_size: null, layer_norm_epsilon: 1e-5, max_position_embeddings: 2048, num_heads: 12 },
      ...{ num_layers: 12, resid_dropout: 0, summary_type: "cls_index", vocab_size: 50257, window_size: 256 },
    },
  },
};

test.each(Object.entries(published))("%s", (_, { json, parameters }) => {
  const configuration = parseConfiguration(json, "config.json");
  expect(unknownKeys(json, familyOf(configuration).keys)).toEqual([]);
  const counts = Array.from(parameterShapes(architectureOf(configuration)).values(), (shape) =>
    shape.reduce((product, length) => product * length, 1),
  );
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(parameters);
});
