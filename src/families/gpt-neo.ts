import { z } from "zod";
import { UserError } from "../errors.ts";
import { add } from "../graph/ops/elementwise.ts";
import { defineBlock } from "../models/block.ts";
import { layerNorms } from "../models/norms.ts";
import { activationField } from "./activations.ts";
import { type ConfigKeys, readKeys } from "./config-keys.ts";
import { type Family, usualHead } from "./family.ts";
import { count, dividedAmong, flag, layerCount, tokenFields, tokensOf } from "./fields.ts";
import { type GptConfiguration, gptMlp, gptParts, gptProjections } from "./gpt-block.ts";
import { gptHarmless } from "./gpt2.ts";

/** What the computation of a GPT-Neo depends on. */
interface GptNeoConfiguration extends GptConfiguration {
  /** For each layer the most positions back that a token sees; undefined where it sees all. */
  readonly windows: readonly (number | undefined)[];
}

const reach = z.enum(["global", "local"]);

/**
 * Only the sizes must be there; for the rest, a missing key or a null means the default of
 * transformers' GPTNeoConfig.
 */
const keys = {
  used: {
    vocab_size: count,
    max_position_embeddings: count,
    hidden_size: count,
    num_layers: layerCount,
    num_heads: count,
    intermediate_size: count.nullish(),
    // Kinds of layers, and how often they are repeated; and the same written out. Both missing:
    // global and local in turn.
    attention_types: z.array(z.tuple([z.array(reach), count])).nullish(),
    attention_layers: z.array(reach).nullish(),
    window_size: count.nullable().default(256),
    activation_function: activationField("gelu_new"),
    layer_norm_epsilon: z.number().positive().nullish(),
    tie_word_embeddings: flag(true),
    ...tokenFields({ bos: 50256, eos: 50256 }),
  },
  only: {},
  harmless: [...gptHarmless, "attention_dropout", "embed_dropout", "gradient_checkpointing", "resid_dropout"],
  aliases: { num_attention_heads: "num_heads", num_hidden_layers: "num_layers" },
} satisfies ConfigKeys<z.ZodRawShape>;

/**
 * GPT-Neo (Black et al. 2021), and the models of TinyStories: a GPT-2 with a window in every other
 * layer, and scores that are not divided by √headWidth.
 */
export const gptNeo: Family<GptNeoConfiguration> = {
  name: "gpt_neo",
  architectures: ["GPTNeoForCausalLM"],
  prefix: "transformer.",
  untiedHead: usualHead,
  layersKey: "num_layers",
  // The causal mask.
  buffers: /\.attn\.attention\.(bias|masked_bias)$/,
  keys,
  parse(raw, file) {
    const json = readKeys(raw, keys, file);
    const { hidden_size: width, num_heads: heads } = json;
    return {
      width,
      layers: json.num_layers,
      heads,
      headWidth: dividedAmong({ width, heads }, { file, field: "hidden_size" }),
      feedForwardWidth: json.intermediate_size ?? 4 * width,
      activation: json.activation_function,
      vocabularySize: json.vocab_size,
      contextLength: json.max_position_embeddings,
      normEpsilon: json.layer_norm_epsilon ?? 1e-5,
      windows: windowsOf(json, file),
      tiedEmbeddings: json.tie_word_embeddings,
      ...tokensOf(json),
    };
  },
  build(c, plan) {
    const norm = layerNorms(c.normEpsilon);
    const block = defineBlock(plan, {
      ...c,
      keyValueHeads: c.heads,
      rotaryWidth: 0,
      scoreScale: 1,
      place: (layer) => `transformer.h.${layer}.`,
      project: (x, parameters) => gptProjections(norm(x, parameters, "ln_1"), parameters, c, "attn.attention."),
      finish(x, context, parameters) {
        const output = parameters.linear("output", "attn.attention.out_proj", c.width, c.width, { bias: true });
        const middle = add(x, output(context));
        const { output: fed, raised } = gptMlp(norm(middle, parameters, "ln_2"), parameters, c, [
          "mlp.c_fc",
          "mlp.c_proj",
        ]);
        return { output: add(middle, fed), middle, raised };
      },
    });
    const layers = c.windows.map((window) => ({ block, window }));
    return {
      ...gptParts(c, plan, layers),
      positionEmbedding: { name: "transformer.wpe.weight", positions: c.contextLength },
    };
  },
};

function windowsOf(json: z.output<z.ZodObject<typeof keys.used>>, file: string): (number | undefined)[] {
  const { attention_types: types, attention_layers: layers, num_layers: count, window_size: window } = json;
  const inTurn = Array.from({ length: count }, (_, layer) => (layer % 2 === 0 ? "global" : "local"));
  const groups = types ?? [[layers ?? inTurn, 1] as const];
  const listed = groups.reduce((sum, [kinds, times]) => sum + kinds.length * times, 0);
  if (listed !== count) {
    const problem = `has kinds of ${listed} layers, and there are ${count}`;
    throw new UserError(problem, { file, field: types ? "attention_types" : "attention_layers" });
  }
  const reaches = groups.flatMap(([kinds, times]) => Array.from({ length: times }, () => kinds).flat());
  if (layers && String(layers) !== String(reaches)) {
    throw new UserError("contradicts attention_types", { file, field: "attention_layers" });
  }
  return reaches.map((one) => (one === "local" ? (window ?? 256) : undefined));
}
