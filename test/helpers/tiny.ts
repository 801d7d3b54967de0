/** Tiny models and examples that follow from a seed. */
import type { TokenizedExample } from "../../src/data/example.ts";
import type { Engine, FloatValue } from "../../src/engine/engine.ts";
import type { LlamaConfiguration } from "../../src/families/llama.ts";
import { architectureOf, parseConfiguration } from "../../src/families/registry.ts";
import { parameterShapes } from "../../src/models/architecture.ts";
import type { ModelConfiguration } from "../../src/models/configuration.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import type { Parameters } from "../../src/models/parameters.ts";
import { Transformer } from "../../src/models/transformer.ts";
import { pairObjectives as definitions, type ObjectiveOptions } from "../../src/objectives/index.ts";
import type { Objective } from "../../src/objectives/objective.ts";
import { withImportanceWeights } from "../../src/objectives/token-rules.ts";
import { Random } from "../../src/random.ts";

const sizes = {
  model_type: "llama",
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 40,
  max_position_embeddings: 64,
};
const eos = 2;

/**
 * Objectives over pairs with numbers that make each of their terms matter. What a model's passes
 * depend on is all here: statistics, references, means. The others differ from them in the formula
 * alone.
 */
export const pairObjectives = [
  { name: "dpo", beta: 0.1 },
  { name: "dpo", beta: 0.3, labelSmoothing: 0.1 },
  { name: "dpo", beta: 0.3, referenceFree: true },
  { name: "ipo", beta: 0.2 },
  { name: "tdpo1", beta: 0.3 },
  { name: "tdpo2", beta: 0.3, alpha: 0.5 },
  { name: "tis-dpo", beta: 0.3 },
  { name: "tis-dpo", beta: 0.3, alpha: 0.5 },
  { name: "slic", delta: 3 },
  { name: "simpo", beta: 2, gamma: 0.4 },
] as const satisfies readonly ObjectiveOptions[];

/** Every objective over pairs, in each of its forms; new ones with their defaults. */
const spelledOut = [
  ...pairObjectives,
  { name: "dpo", beta: 0.8, aggregate: "mean" },
  { name: "ipo", beta: 0.4, aggregate: "mean" },
  { name: "hinge", beta: 0.3 },
  { name: "robust-dpo", beta: 0.3, labelSmoothing: 0.2 },
  { name: "r-dpo", beta: 0.3, alpha: 0.05 },
  { name: "dpop", beta: 0.3, lambda: 2 },
  { name: "cal-dpo", beta: 0.2 },
  { name: "exo", beta: 0.3, labelSmoothing: 0.01 },
  { name: "nca", beta: 0.3 },
  { name: "sppo", beta: 0.2 },
  { name: "apo-zero", beta: 0.3 },
  { name: "apo-down", beta: 0.3 },
  { name: "bco-pair", beta: 0.3 },
  { name: "bco-pair", beta: 0.3, shift: "none" },
  { name: "bpo", beta: 0.3, alpha: 0.4 },
  { name: "bpo", beta: 0.3, alpha: 0.4, loss: "logistic" },
  { name: "f-dpo", beta: 0.3, divergence: "forward-kl" },
  { name: "f-dpo", beta: 0.3, divergence: "jensen-shannon" },
  { name: "f-dpo", beta: 0.3, divergence: "alpha", alpha: 0.7 },
  { name: "discopop", beta: 0.3, tau: 0.2 },
  { name: "aot", beta: 0.3, labelSmoothing: 0.1 },
  { name: "aot", beta: 0.3, paired: false },
  { name: "beta-dpo", beta: 0.3, alpha: 0.5, filtered: 0.3 },
  { name: "alphapo", beta: 2, gamma: 0.4, alpha: 0.2, labelSmoothing: 0.1 },
  { name: "simper" },
  { name: "cpo", beta: 0.3, alpha: 0.5 },
  { name: "cpo", beta: 0.3, alpha: 0.5, mean: "sequences" },
  { name: "cpo", beta: 0.3, alpha: 0.5, loss: "hinge" },
  { name: "cpo", beta: 0.3, alpha: 0.5, loss: "ipo" },
  { name: "orpo", lambda: 0.5 },
  { name: "rpo", beta: 0.3, alpha: 0.5 },
  { name: "mpo", beta: 0.3 },
  { name: "mpo", beta: 0.3, shift: "none" },
] as const satisfies readonly ObjectiveOptions[];
const named = new Set<string>(spelledOut.map(({ name }) => name));
export const everyPairObjective: readonly ObjectiveOptions[] = [
  ...spelledOut,
  ...definitions.filter(({ name }) => !named.has(name)).map(({ name }) => ({ name }) as ObjectiveOptions),
];

const caps = { attn_logit_softcapping: 3, final_logit_softcapping: 4 };
/** Changes that make the tiny model one of another family. */
export const tinyFamilies: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  mistral: { model_type: "mistral", sliding_window: 3 },
  // The second layer has a window.
  qwen2: { model_type: "qwen2", use_sliding_window: true, sliding_window: 4, max_window_layers: 1 },
  qwen3: { model_type: "qwen3", head_dim: 6 },
  smollm3: { model_type: "smollm3", no_rope_layer_interval: 2 },
  gemma: { model_type: "gemma", head_dim: 6 },
  // Windows in the first of two layers.
  gemma2: { model_type: "gemma2", head_dim: 6, sliding_window: 3, query_pre_attn_scalar: 9, ...caps },
  gemma3_text: {
    ...{ model_type: "gemma3_text", head_dim: 4, sliding_window: 4, sliding_window_pattern: 2 },
    ...{ rope_theta: 1000, rope_local_base_freq: 10, query_pre_attn_scalar: 64 },
  },
  olmo: { model_type: "olmo" },
  olmo2: { model_type: "olmo2" },
  granite: {
    ...{ model_type: "granite", embedding_multiplier: 3, attention_multiplier: 0.3 },
    ...{ residual_multiplier: 0.4, logits_scaling: 2 },
  },
  phi: { model_type: "phi" },
  phi3: { model_type: "phi3", sliding_window: 3, partial_rotary_factor: 0.5, num_key_value_heads: 2 },
  stablelm: { model_type: "stablelm", partial_rotary_factor: 0.5, use_qkv_bias: true },
  gpt_neox: { model_type: "gpt_neox", rotary_pct: 0.5 },
  gpt_neo: {
    ...{ model_type: "gpt_neo", num_layers: 2, num_heads: 4, attention_types: [[["global", "local"], 1]] },
    window_size: 3,
  },
  gptj: { model_type: "gptj", n_embd: 16, n_layer: 2, n_head: 4, n_positions: 64, rotary_dim: 2 },
  gpt2: { model_type: "gpt2", n_embd: 16, n_layer: 2, n_head: 4, n_positions: 64 },
};

/** @param changes keys of a config.json */
export function tinyConfiguration(changes: Readonly<Record<string, unknown>> = {}): LlamaConfiguration {
  return parseConfiguration({ ...sizes, ...changes }, "tiny") as LlamaConfiguration;
}

/**
 * A model with random weights, the same in both precisions; equal seeds give equal tensors of equal
 * names.
 */
export function tinyModel(
  engine: Engine,
  configuration: ModelConfiguration,
  seed: number,
  like?: LanguageModel | Transformer,
): LanguageModel {
  const shared = like instanceof Transformer ? like : like?.transformer;
  const transformer = shared ?? new Transformer(engine, architectureOf(configuration));
  const parameters = new Map<string, FloatValue>();
  for (const [name, shape] of parameterShapes(transformer.architecture)) {
    const random = Random.from(seed, name);
    const value = engine.allocate(shape);
    const centre = shape.length === 1 && !name.endsWith(".bias") ? 1 : 0;
    value.data.forEach((_, index) => {
      value.data[index] = Math.fround(centre + 0.3 * random.normal());
    });
    parameters.set(name, value);
  }
  return { configuration, transformer, parameters, trainable: parameters, memory: [...parameters.values()] };
}

/** Zeroed gradient totals for a model. */
export function zeroGradients(engine: Engine, { trainable }: LanguageModel): Parameters {
  return new Map(Array.from(trainable, ([name, { shape }]) => [name, engine.zeros(shape)]));
}

/** The objective with importance weights, if the examples have any. */
export function weightedIf(examples: readonly TokenizedExample[], objective: Objective): Objective {
  return examples.some(({ given }) => given?.weight) ? withImportanceWeights(objective) : objective;
}

export function example(prompt: readonly number[], ...responses: readonly (readonly number[])[]): TokenizedExample {
  return {
    prompt: Int32Array.from(prompt),
    responses: responses.map((response) => Int32Array.from(response)),
    cut: { prompt: 0, responses: responses.map(() => 0) },
    place: undefined,
  };
}

/** The examples with random importance weights, some of them 0 or negative. */
export function weighted(examples: readonly TokenizedExample[]): TokenizedExample[] {
  const random = Random.from(1, "weights");
  return examples.map((one) => ({
    ...one,
    given: {
      weight: one.responses.map((response) => Float64Array.from(response, () => Math.round(8 * random.normal()) / 5)),
    },
  }));
}

/**
 * Random examples.
 *
 * @param lengths for each the length of its prompt and those of its responses, with EOS
 * @param options.cut examples whose last response was cut, so that it does not end with EOS
 */
export function randomExamples(
  seed: number,
  lengths: readonly (readonly [prompt: number, ...responses: number[]])[],
  { cut = [] }: { cut?: readonly number[] } = {},
): TokenizedExample[] {
  const random = Random.from(seed, "examples");
  const tokens = (length: number) => Array.from({ length }, () => eos + 1 + random.integer(sizes.vocab_size - eos - 1));
  return lengths.map(([prompt, ...responses], index) =>
    example(
      tokens(prompt),
      ...responses.map((length, side) => {
        const ends = !(cut.includes(index) && side === responses.length - 1);
        return ends ? [...tokens(length - 1), eos] : tokens(length);
      }),
    ),
  );
}
