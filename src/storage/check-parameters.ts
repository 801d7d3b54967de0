import { UserError } from "../errors.ts";
import { type Architecture, parameterShapes } from "../models/architecture.ts";
import { isFloatDtype } from "../number-formats.ts";
import { quoted } from "../one-line.ts";
import type { TensorEntry } from "./safetensors-header.ts";

/**
 * Checks that stored tensors are exactly the parameters of a model, with the right shapes and as
 * floats. Tensors that older versions of transformers stored needlessly are let through.
 *
 * @param options.place the file or folder, for error messages
 * @param options.isBuffer whether a name is that of a tensor that older versions stored needlessly
 * @throws UserError listing what is missing, wrong or unknown.
 */
export function checkParameters(
  tensors: ReadonlyMap<string, TensorEntry>,
  architecture: Architecture,
  { place, isBuffer }: { place: string; isBuffer: (name: string) => boolean },
): void {
  const shapes = parameterShapes(architecture);
  const quantized = [...tensors.keys()].find(
    (name) => !shapes.has(name) && !isBuffer(name) && quantizedNames.test(name),
  );
  if (quantized !== undefined) {
    const hint = "use the unquantized model, or dequantize this one";
    throw new UserError("its weights are quantized, which is not supported", { file: place, field: quantized, hint });
  }
  const missing = [...shapes.keys()].filter((name) => !tensors.has(name));
  if (missing.length > 0) {
    const headOnly = missing.length === 1 && missing[0] === architecture.head;
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
  const extra = [...tensors.keys()].filter((name) => !shapes.has(name) && !isBuffer(name));
  if (extra.length > 0) {
    const hint = "config.json does not describe these weights";
    throw new UserError(`holds what the model has no place for: ${list(extra)}`, { file: place, hint });
  }
}

/**
 * The tensors that GPTQ, AWQ, MLX, bitsandbytes, FP8, compressed-tensors and others store beside
 * weights.
 */
const quantizedNames =
  /(^|[._])(qweight|qzeros|g_idx|scales?|biases|zeros|absmax|quant_map|quant_state\..*|SCB|weight_(format|packed|scale|scale_inv|scale_2|shape|zero_point|blocks|scales)|input_scale|blocks)$/;

function fits(found: TensorEntry, shape: readonly number[]): boolean {
  return isFloatDtype(found.dtype) && found.shape.join() === shape.join();
}

function list(items: string[]): string {
  const shown = items.slice(0, 4).join(", ");
  return items.length > 4 ? `${shown} and ${items.length - 4} more` : shown;
}
