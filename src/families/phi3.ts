import { z } from "zod";
import { UserError } from "../errors.ts";
import { silu } from "../graph/ops/activations.ts";
import { add, multiply } from "../graph/ops/elementwise.ts";
import { columns } from "../graph/ops/shape.ts";
import { rmsNorms } from "../models/norms.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { count, tokenFields } from "./fields.ts";
import { type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { attentionOutput, buildLlama, rotated } from "./llama-block.ts";

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' Phi3Config.
 */
const keys = {
  used: {
    ...llamaFields,
    // Here this key comes before the one in the rotary parameters even where it is missing.
    original_max_position_embeddings: z.number().positive().nullable().default(4096),
    partial_rotary_factor: z.number().positive().nullish(),
    // Null means that a token sees all before it.
    sliding_window: count.nullish(),
    ...tokenFields({ bos: 1, eos: 32000 }),
  },
  only: {
    hidden_act: { values: ["silu", "swish"] },
    // In Phi-4-mini's file, and in no class.
    attention_bias: { values: [false] },
    mlp_bias: { values: [false] },
    lm_head_bias: { values: [false] },
  },
  harmless: ["attention_dropout", "embd_pdrop", "resid_pdrop", "full_attn_mod", "interpolate_factor"],
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * Phi-3 (Abdin et al. 2024, arXiv 2404.14219), and Phi-4-mini: a Llama that stores query, key and
 * value as one matrix, and gate and up as one.
 */
export const phi3: Family<LlamaConfiguration> = {
  ...llama,
  name: "phi3",
  architectures: ["Phi3ForCausalLM"],
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    const named = {
      ...json,
      rope_scaling: longRope(json.rope_scaling),
      rope_parameters: longRope(json.rope_parameters),
    };
    const sizes = llamaSizes(
      { ...named, rms_norm_eps: json.rms_norm_eps ?? 1e-5 },
      { file, contextLength: 4096, rotaryShare: 1 },
    );
    const { type } = sizes.ropeScaling ?? { type: "longrope" };
    if (type !== "longrope") {
      const field = json.rope_scaling ? "rope_scaling" : "rope_parameters";
      throw new UserError(`transformers' Phi-3 has no ${type} scaling, only longrope`, { file, field });
    }
    return {
      ...sizes,
      windows: Array(sizes.layers).fill(json.sliding_window ?? undefined),
      attentionBias: false,
      attentionOutputBias: false,
      mlpBias: false,
    };
  },
  build(c, plan) {
    const norm = rmsNorms(c.normEpsilon);
    const [queryEnd, keyEnd, valueEnd] = [0, 1, 2].map((part) => (c.heads + part * c.keyValueHeads) * c.headWidth) as [
      number,
      number,
      number,
    ];
    return buildLlama(c, plan, {
      project(x, parameters, rotary) {
        const product = parameters.linear("projection", "self_attn.qkv_proj", valueEnd, c.width);
        const all = product(norm(x, parameters, "input_layernorm"));
        const [query, key, value] = [
          columns(all, 0, queryEnd),
          columns(all, queryEnd, keyEnd),
          columns(all, keyEnd, valueEnd),
        ];
        return rotated({ query, key, value }, c, rotary);
      },
      finish(x, context, parameters) {
        const middle = add(x, attentionOutput(context, parameters, c));
        const product = parameters.linear("gateAndUp", "mlp.gate_up_proj", 2 * c.feedForwardWidth, c.width);
        const gateAndUp = product(norm(middle, parameters, "post_attention_layernorm"));
        const gate = columns(gateAndUp, 0, c.feedForwardWidth);
        const up = columns(gateAndUp, c.feedForwardWidth, 2 * c.feedForwardWidth);
        const down = parameters.linear("down", "mlp.down_proj", c.width, c.feedForwardWidth);
        return { output: add(middle, down(multiply(silu(gate), up))), middle, gateAndUp };
      },
    });
  },
};

/** The rotary parameters with the name that longrope has today: it was `su` or `yarn`. */
function longRope(rope: Readonly<Record<string, unknown>> | null | undefined) {
  const type = rope?.rope_type ?? rope?.type;
  return type === "su" || type === "yarn" ? { ...rope, rope_type: "longrope" } : rope;
}
