import type { z } from "zod";
import { UserError } from "../errors.ts";
import { add } from "../graph/ops/elementwise.ts";
import { defineBlock } from "../models/block.ts";
import { layerNorms } from "../models/norms.ts";
import { rotaryOf, rotate } from "../models/rotary.ts";
import type { Rope } from "../models/rotary-frequencies.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import { type Family, usualHead } from "./family.ts";
import { count, flag } from "./fields.ts";
import { type GptConfiguration, gptMlp, gptParts, gptProjections } from "./gpt-block.ts";
import { gptAliases, gptFields, gptHarmless, gptSizes } from "./gpt2.ts";

/** What the computation of a GPT-J depends on. */
interface GptjConfiguration extends GptConfiguration, Rope {}

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' GPTJConfig.
 */
const keys = {
  used: {
    ...gptFields,
    // A null is refused: transformers has no meaning for it.
    rotary_dim: count.default(64),
    tie_word_embeddings: flag(false),
  },
  only: {
    // In published files, and in no class.
    rotary: { values: [true], problem: "the model has no other positions than rotary ones" },
    scale_attn_weights: { values: [true] },
  },
  harmless: gptHarmless,
  aliases: gptAliases,
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * GPT-J (Wang & Komatsuzaki 2021): attention and MLP side by side behind one LayerNorm, rotary
 * positions on neighbouring numbers of a part of each head, and a bias of the head.
 */
export const gptj: Family<GptjConfiguration> = {
  name: "gptj",
  architectures: ["GPTJForCausalLM"],
  prefix: "transformer.",
  untiedHead: usualHead,
  layersKey: "n_layer",
  // The causal mask, and the sines of positions.
  buffers: /\.attn\.(bias|masked_bias|embed_positions)$/,
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    const sizes = gptSizes(json, file);
    const [headWidth, rotaryWidth] = [sizes.headWidth, json.rotary_dim];
    if (rotaryWidth > headWidth || rotaryWidth % 2 !== 0) {
      const problem = `must be even and no more than the ${headWidth} numbers of a head, found ${rotaryWidth}`;
      throw new UserError(problem, { file, field: "rotary_dim" });
    }
    const rope = { ropeTheta: 10000, ropeScaling: undefined, rotaryWidth };
    return { ...sizes, ...rope, tiedEmbeddings: json.tie_word_embeddings };
  },
  build(c, plan) {
    const norm = layerNorms(c.normEpsilon);
    const heads = { ...c, layout: "interleaved" } as const;
    const block = defineBlock(plan, {
      ...c,
      keyValueHeads: c.heads,
      place: (layer) => `transformer.h.${layer}.`,
      project(x, parameters, rotary) {
        const { query, key, value } = gptProjections(norm(x, parameters, "ln_1"), parameters, c, "attn.");
        return { query: rotate(query, heads, rotary!), key: rotate(key, heads, rotary!), value };
      },
      finish(x, context, parameters) {
        const attended = parameters.linear("output", "attn.out_proj", c.width, c.width)(context);
        const normed = norm(x, parameters, "ln_1", "ln_1 again");
        const { output, raised } = gptMlp(normed, parameters, c, ["mlp.fc_in", "mlp.fc_out"]);
        return { output: add(add(x, attended), output), raised };
      },
    });
    const rotary = rotaryOf(c, c.headWidth, "interleaved");
    const layers = Array.from({ length: c.layers }, () => ({ block, rotary }));
    return { ...gptParts(c, plan, layers), headBias: "lm_head.bias" };
  },
};
