import { z } from "zod";
import { UserError } from "../errors.ts";

/** How the rotary frequencies differ from `theta ** (-2 i / headWidth)`, to reach beyond the pretrained context. */
export type RopeScaling =
  | { type: "linear"; factor: number }
  | {
      type: "llama3";
      factor: number;
      lowFrequencyFactor: number;
      highFrequencyFactor: number;
      /** The context length of the pretraining, in tokens. */
      originalContextLength: number;
    };

/** The rotary part of a configuration. */
export interface Rope {
  ropeTheta: number;
  ropeScaling: RopeScaling | undefined;
}

const positive = z.number().positive();
const parameters = z
  .looseObject({
    rope_type: z.string().nullish(),
    /** The name of `rope_type` in older files. */
    type: z.string().nullish(),
    rope_theta: positive.nullish(),
    partial_rotary_factor: positive.nullish(),
  })
  .nullish();

/** The keys of a config.json that describe the rotary embedding: theta apart (transformers 4) or inside (5). */
export const ropeFields = { rope_theta: positive.nullish(), rope_scaling: parameters, rope_parameters: parameters };

const linearSchema = z.object({ factor: positive });
const llama3Schema = z.object({
  factor: positive,
  low_freq_factor: positive,
  high_freq_factor: positive,
  original_max_position_embeddings: positive,
});

/**
 * Reads the rotary part of a config.json.
 *
 * @param json the values of `ropeFields`
 * @throws UserError for a kind of scaling that we lack; ZodError, with the whole path, for a parameter of the wrong type.
 */
export function parseRope(json: z.output<z.ZodObject<typeof ropeFields>>, file: string): Rope {
  const field = json.rope_scaling ? "rope_scaling" : "rope_parameters";
  const rope = json[field] ?? {};
  const ropeTheta = json.rope_parameters?.rope_theta ?? rope.rope_theta ?? json.rope_theta ?? 10000;
  if ((rope.partial_rotary_factor ?? 1) !== 1) {
    throw new UserError("rotating only a part of each head is not supported", {
      file,
      field: `${field}.partial_rotary_factor`,
    });
  }
  // Without a type a factor would be ignored in silence.
  const type = rope.rope_type ?? rope.type ?? ("factor" in rope ? undefined : "default");
  return { ropeTheta, ropeScaling: parseScaling(rope, type, { file, field }) };
}

function parseScaling(
  rope: object,
  type: string | undefined,
  place: { file: string; field: string },
): RopeScaling | undefined {
  if (type === "default") return undefined;
  if (type === undefined) throw new UserError("rope_type is missing", place);
  if (type === "linear") return { type, factor: parseAt(linearSchema, rope, place.field).factor };
  if (type !== "llama3") {
    throw new UserError(`rotary scaling "${type}" is not supported, only linear and llama3`, place);
  }
  const llama3 = parseAt(llama3Schema, rope, place.field);
  if (llama3.low_freq_factor >= llama3.high_freq_factor) {
    throw new UserError("low_freq_factor must be less than high_freq_factor", place);
  }
  return {
    type,
    factor: llama3.factor,
    lowFrequencyFactor: llama3.low_freq_factor,
    highFrequencyFactor: llama3.high_freq_factor,
    originalContextLength: llama3.original_max_position_embeddings,
  };
}

/** Parses a value whose issues are to carry the whole path, from `field` on. */
function parseAt<T extends z.ZodType>(schema: T, value: unknown, field: string): z.output<T> {
  return z.object({ [field]: schema }).parse({ [field]: value })[field] as z.output<T>;
}
