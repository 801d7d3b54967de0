/** Small models as they are published: what their config.json says of sizes. */

export interface PublishedShape {
  /** As the published weights have them, without a tied head. */
  readonly parameters: number;
  readonly config: Readonly<Record<string, unknown>>;
}

const llama = { architectures: ["LlamaForCausalLM"], model_type: "llama", hidden_act: "silu", rms_norm_eps: 1e-5 };
const smollm2 = {
  ...llama,
  vocab_size: 49152,
  max_position_embeddings: 8192,
  rope_theta: 1e5,
  tie_word_embeddings: true,
};
const qwen = { hidden_act: "silu", rms_norm_eps: 1e-6, vocab_size: 151936, rope_theta: 1e6, tie_word_embeddings: true };
const pythia = {
  ...{ architectures: ["GPTNeoXForCausalLM"], model_type: "gpt_neox", hidden_act: "gelu", layer_norm_eps: 1e-5 },
  ...{ rotary_pct: 0.25, rotary_emb_base: 10000, use_parallel_residual: true, vocab_size: 50304 },
  ...{ max_position_embeddings: 2048, tie_word_embeddings: false },
};

/** `hidden_size`, `intermediate_size`, `num_hidden_layers`, `num_attention_heads`. */
function sizes(width: number, feedForward: number, layers: number, heads: number, keyValueHeads = heads) {
  return {
    ...{ hidden_size: width, intermediate_size: feedForward, num_hidden_layers: layers },
    ...{ num_attention_heads: heads, num_key_value_heads: keyValueHeads },
  };
}

/** By name, in order of size. */
export const publishedShapes: Readonly<Record<string, PublishedShape>> = {
  "gpt2-124m": {
    parameters: 124_439_808,
    config: {
      ...{ architectures: ["GPT2LMHeadModel"], model_type: "gpt2", activation_function: "gelu_new" },
      ...{ n_embd: 768, n_layer: 12, n_head: 12, n_positions: 1024, vocab_size: 50257, layer_norm_epsilon: 1e-5 },
    },
  },
  "smollm2-135m": { parameters: 134_515_008, config: { ...smollm2, ...sizes(576, 1536, 30, 9, 3) } },
  "pythia-160m": { parameters: 162_322_944, config: { ...pythia, ...sizes(768, 3072, 12, 12) } },
  "gemma-3-270m": {
    parameters: 268_098_176,
    config: {
      ...{ architectures: ["Gemma3ForCausalLM"], model_type: "gemma3_text", hidden_activation: "gelu_pytorch_tanh" },
      ...{ ...sizes(640, 2048, 18, 4, 1), head_dim: 256, vocab_size: 262144, max_position_embeddings: 32768 },
      ...{ rms_norm_eps: 1e-6, query_pre_attn_scalar: 256, sliding_window: 512, sliding_window_pattern: 6 },
      ...{ rope_theta: 1e6, rope_local_base_freq: 10000, tie_word_embeddings: true },
    },
  },
  "smollm2-360m": { parameters: 361_821_120, config: { ...smollm2, ...sizes(960, 2560, 32, 15, 5) } },
  "pythia-410m": { parameters: 405_334_016, config: { ...pythia, ...sizes(1024, 4096, 24, 16) } },
  "qwen2.5-0.5b": {
    parameters: 494_032_768,
    config: {
      ...{ architectures: ["Qwen2ForCausalLM"], model_type: "qwen2", ...qwen, ...sizes(896, 4864, 24, 14, 2) },
      ...{ max_position_embeddings: 32768, use_sliding_window: false },
    },
  },
  "qwen3-0.6b": {
    parameters: 596_049_920,
    config: {
      ...{ architectures: ["Qwen3ForCausalLM"], model_type: "qwen3", ...qwen, ...sizes(1024, 3072, 28, 16, 8) },
      ...{ head_dim: 128, max_position_embeddings: 40960, use_sliding_window: false, attention_bias: false },
    },
  },
  "llama-3.2-1b": {
    parameters: 1_235_814_400,
    config: {
      ...{ ...llama, ...sizes(2048, 8192, 16, 32, 8), vocab_size: 128256, max_position_embeddings: 131072 },
      ...{ rope_theta: 500000, tie_word_embeddings: true, head_dim: 64 },
      rope_scaling: {
        ...{ rope_type: "llama3", factor: 32, low_freq_factor: 1, high_freq_factor: 4 },
        original_max_position_embeddings: 8192,
      },
    },
  },
  /** For a try of the bench itself: seconds for all its cases. */
  tiny: {
    parameters: 30_240,
    config: {
      ...llama,
      ...sizes(32, 64, 2, 2),
      vocab_size: 300,
      max_position_embeddings: 1024,
      tie_word_embeddings: true,
    },
  },
};
