import { z } from "zod";
import { UserError } from "../errors.ts";
import type { RopeScaling } from "../models/rotary-frequencies.ts";
import { quoted } from "../one-line.ts";
import { parseField } from "./parse-fields.ts";

const positive = z.number().positive();
const factors = z.array(positive).nonempty();
const original = { original_max_position_embeddings: positive.nullish() };

/** The keys of each kind of rotary positions, with the defaults of transformers. */
const scalings = z.discriminatedUnion("type", [
  z.object({ type: z.literal("default") }),
  z.object({ type: z.literal("linear"), factor: positive }),
  z.object({ type: z.literal("dynamic"), factor: positive }),
  z.object({
    type: z.literal("llama3"),
    factor: positive,
    low_freq_factor: positive,
    high_freq_factor: positive,
    ...original,
  }),
  z.object({
    type: z.literal("yarn"),
    // A null means the ratio of the context's length to the original one.
    factor: positive.nullable(),
    attention_factor: positive.nullish(),
    beta_fast: positive.nullish(),
    beta_slow: positive.nullish(),
    mscale: z.number().nullish(),
    mscale_all_dim: z.number().nullish(),
    truncate: z.boolean().default(true),
    ...original,
  }),
  z.object({
    type: z.literal("longrope"),
    short_factor: factors,
    long_factor: factors,
    factor: positive.nullish(),
    attention_factor: positive.nullish(),
    ...original,
  }),
]);

type Scalings = z.output<typeof scalings>;
type Of<Type extends Scalings["type"]> = Extract<Scalings, { type: Type }>;

/** The keys of each kind of rotary positions besides those of every kind. */
const keysOf = new Map(scalings.options.map(({ shape }) => [shape.type.value as string, Object.keys(shape)]));
const sharedKeys = ["type", "rope_type", "rope_theta", "partial_rotary_factor"];

/** The place of an object of rotary parameters, and the lengths around it. */
export interface ScalingPlace {
  readonly file: string;
  readonly field: string;
  /** In tokens. */
  readonly contextLength: number;
  /** The original context's length as it stands beside the object, or as the class has it. */
  readonly originalLength: number | null | undefined;
  readonly rotaryWidth: number;
}

/**
 * Reads how an object of rotary parameters scales frequencies; undefined where it does not.
 *
 * @throws UserError for a kind of scaling that we lack, or a parameter that is missing or wrong.
 */
export function parseScaling(rope: Readonly<Record<string, unknown>>, place: ScalingPlace): RopeScaling | undefined {
  const { contextLength, originalLength } = place;
  const type = typeOf(rope);
  if (!keysOf.has(String(type))) {
    const problem = `rotary scaling ${quoted(type)} is not supported, only ${[...keysOf.keys()].join(", ")}`;
    throw new UserError(problem, place);
  }
  // Without a type a factor would be ignored in silence.
  if (type === "default" && typeof rope.factor === "number" && !(rope.rope_type ?? rope.type)) {
    throw new UserError("rope_type is missing", place);
  }
  const scaling = parseField(scalings, { ...rope, type }, place);
  const own = "original_max_position_embeddings" in scaling ? scaling.original_max_position_embeddings : undefined;
  if (own && originalLength && own !== originalLength) {
    const problem = `${own} contradicts the ${originalLength} of the key of this name beside ${place.field}`;
    const hint = "write it there: transformers reads that one";
    throw new UserError(problem, { ...place, field: `${place.field}.original_max_position_embeddings`, hint });
  }
  const originalContextLength = originalLength ?? own ?? contextLength;
  switch (scaling.type) {
    case "default":
      return undefined;
    case "linear":
      return scaling;
    case "dynamic":
      return { ...scaling, originalContextLength: contextLength };
    case "llama3":
      return llama3Scaling(scaling, originalContextLength, place);
    case "yarn":
      return yarnScaling(scaling, originalContextLength, place);
    case "longrope":
      return longRopeScaling(scaling, originalContextLength, place);
  }
}

function llama3Scaling(llama3: Of<"llama3">, originalContextLength: number, place: ScalingPlace): RopeScaling {
  const { type, factor, low_freq_factor: lowFrequencyFactor, high_freq_factor: highFrequencyFactor } = llama3;
  if (lowFrequencyFactor >= highFrequencyFactor) {
    throw new UserError("low_freq_factor must be less than high_freq_factor", place);
  }
  return { type, factor, lowFrequencyFactor, highFrequencyFactor, originalContextLength };
}

function yarnScaling(yarn: Of<"yarn">, originalContextLength: number, { contextLength }: ScalingPlace): RopeScaling {
  const { type, truncate, mscale, mscale_all_dim: mscaleAll } = yarn;
  const factor = yarn.factor ?? contextLength / originalContextLength;
  // Section 3.4 of the paper.
  const temperature = (scale: number) => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  const usual = mscale && mscaleAll ? temperature(mscale) / temperature(mscaleAll) : temperature(1);
  return {
    type,
    factor,
    attentionFactor: yarn.attention_factor ?? usual,
    betaFast: yarn.beta_fast ?? 32,
    betaSlow: yarn.beta_slow ?? 1,
    truncate,
    originalContextLength,
  };
}

function longRopeScaling(
  longrope: Of<"longrope">,
  originalContextLength: number,
  { file, field, contextLength, rotaryWidth }: ScalingPlace,
): RopeScaling {
  const { type, short_factor: shortFactors, long_factor: longFactors } = longrope;
  for (const [key, { length }] of Object.entries({ short_factor: shortFactors, long_factor: longFactors })) {
    if (length === rotaryWidth / 2) continue;
    const problem = `has ${length} numbers for the ${rotaryWidth / 2} pairs of a head that are rotated`;
    throw new UserError(problem, { file, field: `${field}.${key}` });
  }
  const factor = longrope.factor ?? contextLength / originalContextLength;
  const usual = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalContextLength));
  return {
    type,
    shortFactors,
    longFactors,
    attentionFactor: longrope.attention_factor ?? usual,
    originalContextLength,
  };
}

/** The kind of rotary positions, which older files call `type`. */
function typeOf({ rope_type: type, type: older }: Readonly<Record<string, unknown>>): unknown {
  return type ?? older ?? "default";
}

/**
 * The keys within the rotary objects of a config.json that its kind of rotary positions does not
 * know: what is computed does not depend on them.
 */
export function unusedRopeKeys(raw: Readonly<Record<string, unknown>>): string[] {
  return ["rope_scaling", "rope_parameters"].flatMap((field) => unusedIn(raw[field], field));
}

function unusedIn(value: unknown, field: string): string[] {
  if (typeof value !== "object" || value === null) return [];
  const type = String(typeOf(value as Record<string, unknown>));
  // Names of LongRoPE in older files of Phi-3.
  const isLong = "short_factor" in value && ["su", "yarn"].includes(type);
  const known = [...sharedKeys, ...(keysOf.get(isLong ? "longrope" : type) ?? [])];
  return Object.entries(value).flatMap(([key, inner]) => {
    // A kind of layer with positions of its own.
    if (typeof inner === "object" && !Array.isArray(inner)) return unusedIn(inner, `${field}.${key}`);
    return known.includes(key) ? [] : [`${field}.${key}`];
  });
}
