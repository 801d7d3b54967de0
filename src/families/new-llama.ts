import type { LlamaConfiguration } from "./llama.ts";
import { parseConfiguration } from "./registry.ts";

/**
 * The sizes of a model to train from scratch, named as in `LlamaConfiguration`; the others have
 * Llama's usual values.
 */
export type LlamaSizes = Pick<
  LlamaConfiguration,
  "width" | "layers" | "heads" | "feedForwardWidth" | "vocabularySize" | "contextLength"
> &
  Partial<
    Pick<
      LlamaConfiguration,
      "keyValueHeads" | "headWidth" | "normEpsilon" | "ropeTheta" | "tiedEmbeddings" | "bosTokenId" | "eosTokenIds"
    >
  >;

/**
 * Describes a model to train from scratch, with everything that its config.json needs in `raw`.
 *
 * @throws UserError if the sizes do not fit together.
 */
export function newLlama(sizes: LlamaSizes): LlamaConfiguration {
  const { bosTokenId = null, eosTokenIds = [] } = sizes;
  const raw = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: sizes.width,
    intermediate_size: sizes.feedForwardWidth,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: sizes.keyValueHeads ?? sizes.heads,
    head_dim: sizes.headWidth ?? sizes.width / sizes.heads,
    vocab_size: sizes.vocabularySize,
    max_position_embeddings: sizes.contextLength,
    rms_norm_eps: sizes.normEpsilon ?? 1e-5,
    rope_theta: sizes.ropeTheta ?? 10000,
    hidden_act: "silu",
    tie_word_embeddings: sizes.tiedEmbeddings ?? false,
    attention_bias: false,
    mlp_bias: false,
    initializer_range: 0.02,
    bos_token_id: bosTokenId,
    eos_token_id: eosTokenIds.length > 1 ? eosTokenIds : (eosTokenIds[0] ?? null),
    torch_dtype: "float32",
  };
  return parseConfiguration(raw, "model") as LlamaConfiguration;
}
