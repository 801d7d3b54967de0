/** The adapter_config.json of PEFT's LoRA. */
import { z } from "zod";
import { UserError } from "../errors.ts";
import { readJson } from "../files/json.ts";
import type { LoraSettings } from "../models/lora.ts";
import { quoted } from "../one-line.ts";

/** The content of an adapter_config.json. */
export interface AdapterConfiguration extends Omit<LoraSettings, "targetModules"> {
  /**
   * Names of layers, or their last parts; undefined where a pattern chose the layers, so that only
   * the tensors tell which.
   */
  targetModules: string[] | undefined;
  /** True if some of the layers that `targetModules` means were left out. */
  excludesModules: boolean;
  /** A folder, or the name of a model of the Hub; undefined if the adapter does not say. */
  base: string | undefined;
}

/** Advice for an adapter with features that we do not have. */
export const mergeHint =
  "merge the adapter into its base with PEFT (merge_and_unload), and use the model that this gives";

/**
 * The keys that are read. A missing one has PEFT's default, but for rank and alpha, which every
 * adapter names.
 */
const schema = z.looseObject({
  peft_type: z.literal("LORA", "must be LORA"),
  task_type: z.literal("CAUSAL_LM", "must be CAUSAL_LM").nullish(),
  r: z.int("must be a whole number from 1 on").positive("must be a whole number from 1 on"),
  lora_alpha: z
    .number("must be a number above 0")
    .positive("must be a number above 0")
    .max(1e6, "must be a number that float32 can be multiplied with"),
  lora_dropout: z
    .number("must be a number from 0 to 1")
    .min(0, "must be a number from 0 to 1")
    .max(1, "must be a number from 0 to 1")
    .nullish(),
  use_rslora: z.boolean("must be true or false").nullish(),
  target_modules: z
    .union([z.string(), z.array(z.string())], "must be a list of layers' names, or a pattern for them")
    .nullish(),
  base_model_name_or_path: z.string("must be a folder or the name of a model").nullish(),
  bias: z.literal("none", "must be none").nullish(),
  init_lora_weights: z
    .union([z.boolean(), z.literal("gaussian")], "must be true, false or gaussian, since others may change the base")
    .nullish(),
});

/** Keys that say nothing about what the adapter computes. */
const harmless = new Set([
  ...["auto_mapping", "inference_mode", "megatron_core", "peft_version", "revision", "runtime_config"],
  // The tensors tell which layers were left out.
  "exclude_modules",
  // Follows from the layer; PEFT mends it where it is wrong.
  "fan_in_fan_out",
  // Has an effect with `use_qalora` only.
  "qalora_group_size",
]);

/**
 * Reads an adapter_config.json. What it asks for beyond LoRA on linear layers is refused, known to
 * us or not: a key that is not known must be switched off (null, false or empty).
 *
 * @throws UserError naming the field that is missing, wrong, or asks for something that we lack.
 */
export async function readAdapterConfiguration(file: string): Promise<AdapterConfiguration> {
  const json = await readJson(file);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new UserError("must be a JSON object", { file });
  }
  const raw: Record<string, unknown> = { ...json };
  const known = schema.safeParse(raw);
  if (!known.success) {
    const { path, message } = known.error.issues[0]!;
    const field = path[0] as string;
    const wrong = raw[field] === undefined ? "is missing" : `${message}, found ${quoted(raw[field])}`;
    throw new UserError(wrong, { file, field, ...(lacked.has(field) && { hint: mergeHint }) });
  }
  const option = Object.keys(raw).find((key) => !(key in schema.shape) && !harmless.has(key) && !isOff(raw[key]));
  if (option !== undefined) {
    const problem = `${quoted(raw[option])}: the adapter was trained with an option that tokenwise lacks`;
    throw new UserError(problem, { file, field: option, hint: mergeHint });
  }
  const { r, lora_alpha, lora_dropout, use_rslora, target_modules, base_model_name_or_path } = known.data;
  return {
    rank: r,
    alpha: lora_alpha,
    dropout: lora_dropout ?? 0,
    rslora: use_rslora ?? false,
    targetModules: Array.isArray(target_modules) ? target_modules : undefined,
    excludesModules: !isOff(raw.exclude_modules ?? null),
    base: base_model_name_or_path || undefined,
  };
}

/**
 * The text of an adapter_config.json, with the keys that PEFT writes.
 *
 * @param options.base the path of the model's folder
 * @param options.transposed true if layers' matrices are stored as [inputs, outputs]
 */
export function formatAdapterConfiguration(
  lora: LoraSettings,
  { base, transposed }: { base: string; transposed: boolean },
): string {
  const json = {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: base,
    bias: "none",
    fan_in_fan_out: transposed,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: lora.alpha,
    lora_dropout: lora.dropout,
    megatron_config: null,
    megatron_core: "megatron.core",
    modules_to_save: null,
    peft_type: "LORA",
    r: lora.rank,
    rank_pattern: {},
    revision: null,
    target_modules: lora.targetModules,
    task_type: "CAUSAL_LM",
    use_dora: false,
    use_rslora: lora.rslora,
  };
  return `${JSON.stringify(json, undefined, 2)}\n`;
}

/** The keys whose other values are not mistakes, but something that PEFT has. */
const lacked = new Set(["peft_type", "task_type", "bias", "init_lora_weights"]);

function isOff(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === null || value === false || value === "";
}
