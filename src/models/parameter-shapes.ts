import { UserError } from "../errors.ts";
import type { LlamaConfiguration } from "../families/configuration.ts";
import { isFloatDtype } from "../number-formats.ts";
import { quoted } from "../one-line.ts";
import type { TensorEntry } from "../storage/safetensors-header.ts";

/**
 * Every parameter of a model: its name in Hugging Face's files and its shape, embedding first, then layer by layer.
 * Matrices are [out, in], as they are stored. A tied head is no parameter of its own.
 */
export function parameterShapes(configuration: LlamaConfiguration): Map<string, readonly number[]> {
  const { width, heads, keyValueHeads, headWidth, feedForwardWidth, vocabularySize } = configuration;
  const shapes = new Map<string, readonly number[]>();
  const linear = (name: string, outputs: number, inputs: number, bias: boolean) => {
    shapes.set(`${name}.weight`, [outputs, inputs]);
    if (bias) shapes.set(`${name}.bias`, [outputs]);
  };
  shapes.set("model.embed_tokens.weight", [vocabularySize, width]);
  for (let layer = 0; layer < configuration.layers; layer++) {
    const prefix = `model.layers.${layer}`;
    shapes.set(`${prefix}.input_layernorm.weight`, [width]);
    linear(`${prefix}.self_attn.q_proj`, heads * headWidth, width, configuration.attentionBias);
    linear(`${prefix}.self_attn.k_proj`, keyValueHeads * headWidth, width, configuration.attentionBias);
    linear(`${prefix}.self_attn.v_proj`, keyValueHeads * headWidth, width, configuration.attentionBias);
    linear(`${prefix}.self_attn.o_proj`, width, heads * headWidth, configuration.attentionBias);
    shapes.set(`${prefix}.post_attention_layernorm.weight`, [width]);
    linear(`${prefix}.mlp.gate_proj`, feedForwardWidth, width, configuration.mlpBias);
    linear(`${prefix}.mlp.up_proj`, feedForwardWidth, width, configuration.mlpBias);
    linear(`${prefix}.mlp.down_proj`, width, feedForwardWidth, configuration.mlpBias);
  }
  shapes.set("model.norm.weight", [width]);
  if (!configuration.tiedEmbeddings) linear("lm_head", vocabularySize, width, false);
  return shapes;
}

/** What the scales of a weight are called that was quantised on loading. */
export function scalesName(weight: string): string {
  return `${weight}.scales`;
}

/**
 * Checks that stored tensors are exactly the parameters of a model, with the right shapes and as floats. Tensors that
 * older versions of transformers stored needlessly are let through.
 *
 * @param place the file or folder, for error messages
 * @throws UserError listing what is missing, wrong or unknown.
 */
export function checkParameters(
  tensors: ReadonlyMap<string, TensorEntry>,
  configuration: LlamaConfiguration,
  place: string,
): void {
  const shapes = parameterShapes(configuration);
  const missing = [...shapes.keys()].filter((name) => !tensors.has(name));
  if (missing.length > 0) {
    const headOnly = missing.length === 1 && missing[0] === "lm_head.weight";
    const [strange] = [...tensors.keys()].filter((name) => !shapes.has(name));
    const named =
      strange && missing.length === shapes.size ? `it names its tensors otherwise: ${quoted(strange)}` : undefined;
    const hint = headOnly ? "if the head is the embedding matrix, set tie_word_embeddings to true" : named;
    throw new UserError(`missing ${list(missing)}`, { file: place, ...(hint && { hint }) });
  }
  const wrong = [...shapes]
    .filter(([name, shape]) => !fits(tensors.get(name)!, shape))
    .map(([name, shape]) => {
      const found = tensors.get(name)!;
      return `${name} must be floats [${shape.join(", ")}], found ${found.dtype} [${found.shape.join(", ")}]`;
    });
  if (wrong.length > 0) {
    throw new UserError(list(wrong), { file: place, hint: "config.json does not describe these weights" });
  }
  const extra = [...tensors.keys()].filter((name) => !shapes.has(name) && !isHarmless(name));
  if (extra.length > 0) {
    const hint = "config.json does not describe these weights";
    throw new UserError(`holds what the model has no place for: ${list(extra)}`, { file: place, hint });
  }
}

function fits(found: TensorEntry, shape: readonly number[]): boolean {
  return isFloatDtype(found.dtype) && found.shape.join() === shape.join();
}

/** The rotary frequencies follow from the configuration. */
function isHarmless(name: string): boolean {
  return name.endsWith("rotary_emb.inv_freq");
}

function list(items: string[]): string {
  const shown = items.slice(0, 4).join(", ");
  return items.length > 4 ? `${shown} and ${items.length - 4} more` : shown;
}
