import { z } from "zod";
import { UserError } from "../errors.ts";
import type { Rope } from "../models/rotary-frequencies.ts";
import type { Only } from "./config-keys.ts";
import { parseField } from "./parse-fields.ts";
import { parseScaling } from "./rope-scaling.ts";

const positive = z.number().positive();
const rotaryObject = z.record(z.string(), z.unknown()).nullish();

/**
 * The keys of a config.json that describe the rotary positions: some apart, as in transformers 4,
 * or all in `rope_parameters`, as in 5.
 */
export const ropeFields = {
  rope_theta: positive.nullish(),
  rope_scaling: rotaryObject,
  rope_parameters: rotaryObject,
  original_max_position_embeddings: positive.nullish(),
};

const onlyWhole = "rotating only a part of each head is not supported";

/** Keys of families that rotate all of each head. */
export const ropeOnly: Readonly<Record<string, Only>> = {
  partial_rotary_factor: { values: [1], problem: onlyWhole },
  rope_interleaved: { values: [false] },
};

/** What the rotary part of a config.json depends on besides its own keys. */
export interface RopeSurroundings {
  readonly file: string;
  readonly headWidth: number;
  /** In tokens. */
  readonly contextLength: number;
  /** The class's `rope_theta`, if not 10000. */
  readonly theta?: number;
  /**
   * The share of each head that is rotated where the file does not say; absent for families that
   * rotate all of it.
   */
  readonly rotaryShare?: number;
}

/** The values of `ropeFields`, and of families that rotate a part of each head. */
type RopeKeys = Partial<z.output<z.ZodObject<typeof ropeFields>>> & {
  partial_rotary_factor?: number | null | undefined;
};

/** Rotary positions, and the length up to which all sequences have the same frequencies. */
export interface ParsedRope extends Rope {
  readonly shortContextLength?: number;
}

/**
 * Reads the rotary part of a config.json, as transformers 5 does.
 *
 * @throws UserError for a kind of scaling that we lack, or a parameter that is missing or wrong.
 */
export function parseRope(json: RopeKeys, surroundings: RopeSurroundings): ParsedRope {
  const { rope_scaling: older, rope_parameters: newer } = json;
  if (isEmpty(older)) return parseRopeObject(newer ?? {}, json, { ...surroundings, field: "rope_parameters" });
  if (!isEmpty(newer) && JSON.stringify(older) !== JSON.stringify(newer)) {
    const hint = "keep the one that is meant";
    throw new UserError("contradicts rope_parameters", { file: surroundings.file, field: "rope_scaling", hint });
  }
  return parseRopeObject(older!, json, { ...surroundings, field: "rope_scaling" });
}

/**
 * Reads one object of rotary parameters: those of a whole model, or of one kind of its layers.
 *
 * @param json the keys beside it, for what it does not say itself
 * @param surroundings.field the object's own place, for error messages
 */
export function parseRopeObject(
  rope: Readonly<Record<string, unknown>>,
  json: RopeKeys,
  { theta = 10000, rotaryShare, headWidth, ...surroundings }: RopeSurroundings & { field: string },
): ParsedRope {
  const { file, field } = surroundings;
  const layers = Object.entries(rope).find(([, value]) => isObject(value))?.[0];
  if (layers !== undefined) {
    const problem = "rotary positions that differ by the kind of layer are not supported";
    throw new UserError(problem, { file, field: `${field}.${layers}` });
  }
  const shared = parseField(sharedSchema, rope, surroundings);
  const share = shared.partial_rotary_factor ?? json.partial_rotary_factor ?? rotaryShare ?? 1;
  const shareField = shared.partial_rotary_factor ? `${field}.partial_rotary_factor` : "partial_rotary_factor";
  if (rotaryShare === undefined && share !== 1) throw new UserError(onlyWhole, { file, field: shareField });
  const rotaryWidth = Math.trunc(headWidth * share);
  if (!(rotaryWidth > 0 && rotaryWidth <= headWidth && rotaryWidth % 2 === 0)) {
    const problem = `${share} of the ${headWidth} numbers of a head are ${rotaryWidth}, and pairs are rotated`;
    throw new UserError(problem, { file, field: shareField });
  }
  const originalLength = json.original_max_position_embeddings;
  const ropeScaling = parseScaling(rope, { ...surroundings, originalLength, rotaryWidth });
  return {
    ropeTheta: shared.rope_theta ?? json.rope_theta ?? theta,
    ropeScaling,
    rotaryWidth,
    ...(ropeScaling?.type === "longrope" && { shortContextLength: ropeScaling.originalContextLength }),
  };
}

const sharedSchema = z.looseObject({ rope_theta: positive.nullish(), partial_rotary_factor: positive.nullish() });

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEmpty(object: object | null | undefined): boolean {
  return !object || Object.keys(object).length === 0;
}
