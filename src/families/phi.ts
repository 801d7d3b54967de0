import { z } from "zod";
import { add } from "../graph/ops/elementwise.ts";
import { finalNorm, layerNorms } from "../models/norms.ts";
import { type Activation, activationField } from "./activations.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import type { Family } from "./family.ts";
import { tokenFields } from "./fields.ts";
import { gptMlp } from "./gpt-block.ts";
import { type LlamaConfiguration, llama, llamaFields, llamaSizes } from "./llama.ts";
import { buildLlama } from "./llama-block.ts";

interface PhiConfiguration extends LlamaConfiguration {
  readonly activation: Activation;
}

const { rms_norm_eps: _, ...fields } = llamaFields;
const positive = z.number().positive();

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' PhiConfig.
 */
const keys = {
  used: {
    ...fields,
    layer_norm_eps: positive.nullish(),
    hidden_act: activationField("gelu_new"),
    partial_rotary_factor: positive.nullish(),
    ...tokenFields({ bos: 1, eos: 2 }),
  },
  only: { qk_layernorm: { values: [false] } },
  harmless: ["attention_dropout", "embd_pdrop", "resid_pdrop"],
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * Phi-1, Phi-1.5 and Phi-2 (Li et al. 2023, arXiv 2309.05463): attention and MLP side by side
 * behind one LayerNorm, rotary positions on a part of each head, and biases everywhere.
 */
export const phi: Family<PhiConfiguration> = {
  ...llama,
  name: "phi",
  architectures: ["PhiForCausalLM"],
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    return {
      ...llamaSizes(
        { ...json, rms_norm_eps: json.layer_norm_eps ?? 1e-5 },
        { file, contextLength: 2048, rotaryShare: 0.5 },
      ),
      activation: json.hidden_act,
      attentionBias: true,
      attentionOutputBias: true,
      mlpBias: true,
    };
  },
  build(c, plan) {
    const norm = layerNorms(c.normEpsilon);
    const parts = buildLlama(c, plan, {
      norm,
      finish(x, context, parameters) {
        const dense = parameters.linear("output", "self_attn.dense", c.width, c.heads * c.headWidth, { bias: true });
        const normed = norm(x, parameters, "input_layernorm", "input_layernorm again");
        const { output, raised } = gptMlp(normed, parameters, c, ["mlp.fc1", "mlp.fc2"]);
        return { output: add(add(x, dense(context)), output), raised };
      },
    });
    const last = finalNorm(plan, { width: c.width, place: "model." }, (x, parameters) =>
      norm(x, parameters, "final_layernorm"),
    );
    return { ...parts, finalNorm: last, headBias: "lm_head.bias" };
  },
};
