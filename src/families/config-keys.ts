import { z } from "zod";
import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";
import { parseFields } from "./parse-fields.ts";
import { unusedRopeKeys } from "./rope-scaling.ts";

/** The values of a key that we compute; null and a missing key are always among them. */
export interface Only {
  readonly values: readonly unknown[];
  /** What is wrong with others, if not that they are not supported. */
  readonly problem?: string;
  readonly hint?: string;
}

/**
 * What a family does with each key of its config.json. Keys that none of these lists are none of
 * transformers' class: what it computes does not depend on them.
 */
export interface ConfigKeys<Shape extends z.ZodRawShape> {
  /** Keys that are read. */
  readonly used: Shape;
  /**
   * Keys that change what is computed in a way that we lack, with the values at which they do not.
   */
  readonly only: Readonly<Record<string, Only>>;
  /**
   * Keys that change nothing that is computed, and rates of dropout: tokenwise trains without it,
   * as TRL does in DPO.
   */
  readonly harmless: readonly string[];
  /** Other names of keys. */
  readonly aliases?: Readonly<Record<string, string>>;
}

const none = (problem: string, hint?: string): Only => ({ values: [], problem, ...(hint && { hint }) });

/** Keys of every class. */
const commonOnly: Readonly<Record<string, Only>> = {
  quantization_config: none("quantized weights are not supported", "use the unquantized model, or dequantize this one"),
  compression_config: none("compressed weights are not supported", "use the uncompressed model"),
  is_encoder_decoder: { values: [false] },
  add_cross_attention: { values: [false] },
  cross_attention_hidden_size: { values: [] },
  tie_encoder_decoder: { values: [false] },
  pruned_heads: { values: [{}] },
};

const commonHarmless = [
  ...["architectures", "model_type", "auto_map", "transformers_version", "transformers.js_config", "_name_or_path"],
  ...["name_or_path", "_commit_hash", "_attn_implementation_autoset", "attn_implementation", "dtype", "torch_dtype"],
  ...[
    "initializer_range",
    "use_cache",
    "gradient_checkpointing",
    "use_bfloat16",
    "is_decoder",
    "torchscript",
    "return_dict",
    "output_attentions",
  ],
  ...["output_hidden_states", "output_scores", "return_dict_in_generate", "chunk_size_feed_forward", "tf_legacy_loss"],
  ...[
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "finetuning_task",
    "task_specific_params",
    "tokenizer_class",
  ],
  ...["prefix", "pad_token_id", "sep_token_id", "decoder_start_token_id", "classifier_dropout"],
  // How transformers generates, in files of older versions.
  ...["max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty"],
  ...["temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size"],
  ...["encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "forced_bos_token_id"],
  ...["forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens"],
  ...["begin_suppress_tokens"],
];

/**
 * The list of `ConfigKeys` that a key is in, or in which every class has it; undefined for none.
 */
export function roleOf(key: string, keys: ConfigKeys<z.ZodRawShape>): keyof ConfigKeys<z.ZodRawShape> | undefined {
  if (Object.hasOwn(keys.used, key)) return "used";
  if (Object.hasOwn(keys.aliases ?? {}, key)) return "aliases";
  if (Object.hasOwn(keys.only, key) || Object.hasOwn(commonOnly, key)) return "only";
  return keys.harmless.includes(key) || commonHarmless.includes(key) ? "harmless" : undefined;
}

/** The names of a config.json's keys that a family does not know. */
export function unknownKeys(raw: Readonly<Record<string, unknown>>, keys: ConfigKeys<z.ZodRawShape>): string[] {
  const inside = "rope_parameters" in keys.used ? unusedRopeKeys(raw) : [];
  return [...Object.keys(raw).filter((key) => roleOf(key, keys) === undefined), ...inside];
}

/**
 * Reads the keys of a family from a config.json.
 *
 * @param file for error messages
 * @throws UserError naming the key that is missing, wrong, or asks for something that we lack.
 */
export function readKeys<Shape extends z.ZodRawShape>(
  raw: Readonly<Record<string, unknown>>,
  keys: ConfigKeys<Shape>,
  file: string,
): z.output<z.ZodObject<Shape>> {
  const json = withoutAliases(raw, keys.aliases ?? {}, file);
  for (const [key, only] of Object.entries({ ...commonOnly, ...keys.only })) checkValue(json[key], key, only, file);
  return parseFields(z.looseObject(keys.used), json, file);
}

function checkValue(value: unknown, field: string, { values, problem, hint }: Only, file: string): void {
  const text = JSON.stringify(value);
  if (value === null || value === undefined || values.some((one) => JSON.stringify(one) === text)) return;
  const supported = values.length > 0 ? `, only ${values.map((one) => quoted(one)).join(" or ")}` : "";
  throw new UserError(problem ?? `${quoted(value)} is not supported${supported}`, {
    file,
    field,
    ...(hint && { hint }),
  });
}

/** The same keys by their own names. */
function withoutAliases(
  raw: Readonly<Record<string, unknown>>,
  aliases: Readonly<Record<string, string>>,
  file: string,
): Record<string, unknown> {
  const json: Record<string, unknown> = { ...raw };
  for (const [alias, key] of Object.entries(aliases)) {
    if (raw[alias] === undefined || raw[alias] === null) continue;
    if (raw[key] !== undefined && raw[key] !== raw[alias]) {
      throw new UserError(`${quoted(raw[alias])} contradicts ${key}`, { file, field: alias });
    }
    json[key] = raw[alias];
  }
  return json;
}
