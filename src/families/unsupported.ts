import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null;

/** Keys of models that see or hear, beside the configuration of their text part. */
const sensesKey = /^(vision|visual|image|img|video|audio|speech)_/;
/** Keys of models whose tokens choose among experts. */
const expertsKey = /(^|_)experts?($|_)|^moe_/;

/**
 * The error for a config.json that no family takes: what kind of model it is, if its keys or its
 * name tell, and what is supported.
 *
 * @param names the families' `model_type`s
 * @param file for error messages
 */
export function unsupported(raw: Json, names: readonly string[], file: string): UserError {
  const { model_type: type, text_config: text } = raw;
  const place = { file, field: "model_type" };
  const supported = `supported are ${[...names].sort().join(", ")}`;
  if (type === undefined || type === null) return new UserError("is missing", { ...place, hint: supported });
  const kind = kindOf(raw);
  const problem = kind ? `${quoted(type)} is ${kind}, which is not supported` : `${quoted(type)} is not supported`;
  const inner = isObject(text) && names.find((name) => name === text.model_type);
  const own = `its text part is a ${inner}: save that alone, text_config as config.json, and its tensors by a ${inner}'s names`;
  return new UserError(problem, { ...place, hint: inner ? `${own}; ${supported}` : supported });
}

function kindOf(raw: Json): string | undefined {
  const keys = Object.keys(raw);
  const text = isObject(raw.text_config) ? Object.keys(raw.text_config) : [];
  if (raw.text_config || keys.some((key) => sensesKey.test(key))) return "a multimodal model";
  if ([...keys, ...text].some((key) => expertsKey.test(key))) return "a mixture of experts";
  return /moe|mixtral/.test(String(raw.model_type)) ? "a mixture of experts" : undefined;
}
