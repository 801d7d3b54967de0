import { z } from "zod";
import { rotaryOf } from "../models/rotary.ts";
import type { Rope } from "../models/rotary-frequencies.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { count } from "./fields.ts";
import {
  buildGemma,
  type GemmaConfiguration,
  gemmaFields,
  gemmaHarmless,
  gemmaNorms,
  gemmaOnly,
  gemmaSizes,
} from "./gemma2.ts";
import { windowsOf } from "./layer-types.ts";
import { llama } from "./llama.ts";
import { normedHeads, projections, rotated } from "./llama-block.ts";
import { parseRopeObject, ropeFields, ropeOnly } from "./rope-configuration.ts";

interface Gemma3Configuration extends GemmaConfiguration {
  /** The rotary positions of layers with a window; the others have the configuration's own. */
  readonly localRope: Rope;
}

const positive = z.number().positive();
const rope = ropeFields.rope_parameters;

/**
 * Only the sizes must be there; for the rest, a missing key means the default of transformers'
 * Gemma3TextConfig.
 */
const keys = {
  used: {
    ...gemmaFields,
    final_logit_softcapping: positive.nullish(),
    sliding_window_pattern: count.nullable().default(6),
    // The base of layers with a window, in files of transformers 4; `rope_theta` and `rope_scaling`
    // are of the others.
    rope_local_base_freq: positive.nullish(),
    rope_parameters: z
      .strictObject(
        { full_attention: rope, sliding_attention: rope },
        { error: "must have full_attention and sliding_attention, and nothing else" },
      )
      .nullish(),
  },
  only: {
    ...gemmaOnly,
    attn_logit_softcapping: { values: [], problem: "is Gemma 2's: transformers' Gemma 3 passes over it" },
    ...ropeOnly,
  },
  // The name under which transformers keeps what it read as sliding_window_pattern.
  harmless: [...gemmaHarmless, "_sliding_window_pattern"],
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * The text model of Gemma 3 (Gemma Team 2025, arXiv 2503.19786): a Gemma 2 with norms over query
 * and key in place of soft caps, and rotary positions of their own in layers with a window.
 */
export const gemma3: Family<Gemma3Configuration> = {
  ...llama,
  name: "gemma3_text",
  architectures: ["Gemma3ForCausalLM"],
  keys,
  parse(raw, file) {
    const { rope_parameters: ropes, ...json } = readKeys(raw, keys, file);
    const { sliding_window_pattern: pattern, final_logit_softcapping: cap } = json;
    const global = { ...json, rope_parameters: ropes?.full_attention };
    const sizes = gemmaSizes(global, { file, contextLength: 131072, theta: 1e6 });
    const local = { rope_theta: json.rope_local_base_freq };
    return {
      ...sizes,
      localRope: parseRopeObject(ropes?.sliding_attention ?? {}, local, {
        file,
        field: "rope_parameters.sliding_attention",
        headWidth: sizes.headWidth,
        contextLength: sizes.contextLength,
      }),
      windows: windowsOf(json, json.sliding_window, (layer) => (layer + 1) % (pattern ?? 6) !== 0, file),
      scoreCap: undefined,
      logitCap: cap ?? undefined,
    };
  },
  build(c, plan) {
    const norm = gemmaNorms(c);
    const parts = buildGemma(c, plan, {
      project(x, parameters, rotary) {
        const heads = projections(norm(x, parameters, "input_layernorm"), parameters, c);
        return rotated(normedHeads(heads, parameters, c, norm), c, rotary);
      },
    });
    const local = rotaryOf(c.localRope, c.headWidth);
    const layers = parts.layers.map((layer) => (layer.window === undefined ? layer : { ...layer, rotary: local }));
    return { ...parts, layers };
  },
};
