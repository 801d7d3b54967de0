import { z } from "zod";
import { UserError } from "../errors.ts";
import type { Rope, RopeScaling } from "../models/rotary.ts";
import { type Only, parseFields } from "./config-keys.ts";

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

/**
 * The keys of a config.json that describe the rotary embedding: theta apart (transformers 4) or
 * inside (5).
 */
export const ropeFields = { rope_theta: positive.nullish(), rope_scaling: parameters, rope_parameters: parameters };

const inside = { values: [], problem: "belongs into rope_scaling", hint: "move it there" };

/**
 * Keys of the rotary embedding that some files have beside it instead of in it: there they would be
 * passed over.
 */
export const ropeOnly: Readonly<Record<string, Only>> = {
  partial_rotary_factor: { values: [1], problem: "rotating only a part of each head is not supported" },
  ...{ rope_type: inside, factor: inside, low_freq_factor: inside, high_freq_factor: inside },
  original_max_position_embeddings: inside,
  rope_interleaved: { values: [false] },
};

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
 * @throws UserError for a kind of scaling that we lack, or a parameter of the wrong type.
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
  if (type === "linear") return { type, factor: parseAt(linearSchema, rope, place).factor };
  if (type !== "llama3") {
    throw new UserError(`rotary scaling "${type}" is not supported, only linear and llama3`, place);
  }
  const llama3 = parseAt(llama3Schema, rope, place);
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

/** Parses a value whose issues are to carry the whole path, from the place's field on. */
function parseAt<T extends z.ZodType>(
  schema: T,
  value: unknown,
  { file, field }: { file: string; field: string },
): z.output<T> {
  return parseFields(z.object({ [field]: schema }), { [field]: value }, file)[field] as z.output<T>;
}
