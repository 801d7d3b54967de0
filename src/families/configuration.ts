import { z } from "zod";
import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";
import { parseRope, type Rope, ropeFields } from "./rope-configuration.ts";

/** What the computation of a Llama model depends on. Widths count numbers, lengths count tokens. */
export interface LlamaConfiguration extends Rope {
  architecture: "llama";
  width: number;
  layers: number;
  heads: number;
  /** Divides `heads`; each is shared by as many query heads. */
  keyValueHeads: number;
  headWidth: number;
  feedForwardWidth: number;
  vocabularySize: number;
  contextLength: number;
  normEpsilon: number;
  /** Whether the head is the embedding matrix. */
  tiedEmbeddings: boolean;
  attentionBias: boolean;
  mlpBias: boolean;
  bosTokenId: number | undefined;
  eosTokenIds: number[];
  /** The config.json as it was, so that saving the model keeps what we do not use. */
  raw: Readonly<Record<string, unknown>>;
}

/** The sizes of a model to train from scratch, named as in `LlamaConfiguration`; the others have Llama's usual values. */
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

const count = z.int().positive();
const tokenId = z.int().nonnegative();
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);

/** Only the sizes must be there; for the rest, a missing key or a null means the default of transformers' LlamaConfig. */
const schema = z.looseObject({
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  vocab_size: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  max_position_embeddings: count.nullish(),
  rms_norm_eps: z.number().positive().nullish(),
  ...ropeFields,
  tie_word_embeddings: flag,
  attention_bias: flag,
  mlp_bias: flag,
  // Here null means that there is none.
  bos_token_id: tokenId.nullable().default(1),
  eos_token_id: z
    .union([tokenId, z.array(tokenId)])
    .nullable()
    .default(2),
});

/**
 * Interprets the content of a config.json, with the defaults of transformers' LlamaConfig.
 *
 * @param file for error messages
 * @throws UserError naming the field that is missing, wrong, or asks for something that we lack.
 */
export function parseConfiguration(json: unknown, file: string): LlamaConfiguration {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new UserError("must be a JSON object", { file });
  }
  const raw: Record<string, unknown> = { ...json };
  checkArchitecture(raw, file);
  checkFeatures(raw, file);
  try {
    return interpret(raw, file);
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    const { path, message } = error.issues[0]!;
    throw new UserError(message, { file, field: path.join("."), cause: error });
  }
}

/**
 * Describes a model to train from scratch, with everything that its config.json needs in `raw`.
 *
 * @throws UserError if the sizes do not fit together.
 */
export function createConfiguration(sizes: LlamaSizes): LlamaConfiguration {
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
  return parseConfiguration(raw, "model");
}

function interpret(raw: Record<string, unknown>, file: string): LlamaConfiguration {
  const json = schema.parse(raw);
  const { hidden_size: width, num_attention_heads: heads, eos_token_id: eos } = json;
  const keyValueHeads = json.num_key_value_heads ?? heads;
  const headWidth = json.head_dim ?? width / heads;
  if (!Number.isInteger(headWidth)) {
    throw new UserError(`${width} cannot be divided into ${heads} heads`, { file, field: "hidden_size" });
  }
  if (headWidth % 2 !== 0) {
    throw new UserError(`must be even for rotary embeddings, found ${headWidth}`, { file, field: "head_dim" });
  }
  if (heads % keyValueHeads !== 0) {
    const problem = `${keyValueHeads} key-value heads cannot be shared evenly by ${heads} heads`;
    throw new UserError(problem, { file, field: "num_key_value_heads" });
  }
  return {
    architecture: "llama",
    width,
    layers: json.num_hidden_layers,
    heads,
    keyValueHeads,
    headWidth,
    feedForwardWidth: json.intermediate_size,
    vocabularySize: json.vocab_size,
    contextLength: json.max_position_embeddings ?? 2048,
    normEpsilon: json.rms_norm_eps ?? 1e-6,
    ...parseRope(json, file),
    tiedEmbeddings: json.tie_word_embeddings,
    attentionBias: json.attention_bias,
    mlpBias: json.mlp_bias,
    bosTokenId: json.bos_token_id ?? undefined,
    eosTokenIds: eos === null ? [] : [eos].flat(),
    raw,
  };
}

function checkArchitecture({ model_type: type, architectures }: Record<string, unknown>, file: string): void {
  const hint = 'supported is model_type "llama" with architecture "LlamaForCausalLM"';
  const found = [architectures ?? []].flat();
  if ((type ?? "llama") !== "llama" || (type === undefined && found.length === 0)) {
    const problem = type === undefined ? "is missing" : `${quoted(type)} is not supported`;
    throw new UserError(problem, { file, field: "model_type", hint });
  }
  if (found.length > 0 && !found.includes("LlamaForCausalLM")) {
    throw new UserError(`${quoted(architectures)} is not supported`, { file, field: "architectures", hint });
  }
}

/** Refuses what would silently compute something else. */
function checkFeatures(raw: Record<string, unknown>, file: string): void {
  const { hidden_act: activation, pretraining_tp: parallel, quantization_config: quantization } = raw;
  if ((activation ?? "silu") !== "silu") {
    throw new UserError(`${quoted(activation)} is not supported, only "silu"`, { file, field: "hidden_act" });
  }
  if ((parallel ?? 1) !== 1) {
    const hint = "1 computes the same up to rounding";
    throw new UserError(`${quoted(parallel)} is not supported, only 1`, {
      file,
      field: "pretraining_tp",
      hint,
    });
  }
  if ((quantization ?? undefined) !== undefined) {
    const hint = "use the unquantized model, or dequantize this one";
    throw new UserError("quantized weights are not supported", { file, field: "quantization_config", hint });
  }
}
