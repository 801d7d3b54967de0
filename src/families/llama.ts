import {
  add,
  constant,
  divide,
  exp,
  multiply,
  scale,
  sigmoid,
  silu,
  sqrt,
  square,
  subtract,
} from "../graph/ops/elementwise.ts";
import { matmul } from "../graph/ops/matmul.ts";
import { mean, sum } from "../graph/ops/reduce.ts";
import { reshape, rotateHalf, transpose } from "../graph/ops/shape.ts";
import { logSoftmax, softmax } from "../graph/ops/softmax.ts";
import type { Section } from "../graph/section.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import type { Architecture, ModelSection, Step, WeightedSection } from "../models/architecture.ts";
import { adapterNames } from "../models/lora.ts";
import { scalesName } from "../models/parameter-shapes.ts";
import { rotaryFrequencies } from "../models/rotary.ts";
import { layerParts, plainWeights, SectionWeights, type WeightPlan } from "../models/section-parameters.ts";
import type { LlamaConfiguration } from "./configuration.ts";

/** The checkpoint's names of the linear layers, without `model.layers.N.`. */
const modules: Readonly<Record<string, string>> = {
  query: "self_attn.q_proj",
  key: "self_attn.k_proj",
  value: "self_attn.v_proj",
  output: "self_attn.o_proj",
  gate: "mlp.gate_proj",
  up: "mlp.up_proj",
  down: "mlp.down_proj",
};

/** The checkpoint's names of a block's parameters, without `model.layers.N.`. */
const names: Readonly<Record<string, string>> = {
  inputNorm: "input_layernorm.weight",
  postAttentionNorm: "post_attention_layernorm.weight",
  ...Object.fromEntries(
    Object.entries(modules).flatMap(([layer, module]) => [
      [layerParts.weight(layer), `${module}.weight`],
      [layerParts.scales(layer), scalesName(`${module}.weight`)],
      [layerParts.bias(layer), `${module}.bias`],
    ]),
  ),
};

/** The names of a block's adapters, without what stands before the checkpoint's name of the weight that each is put on. */
const adapterParts: Readonly<Record<string, { weight: string; part: "a" | "b" }>> = Object.fromEntries(
  Object.entries(modules).flatMap(([layer, module]) => [
    [layerParts.loraA(layer), { weight: `${module}.weight`, part: "a" }],
    [layerParts.loraB(layer), { weight: `${module}.weight`, part: "b" }],
  ]),
);

/** The Llama architecture (Touvron et al. 2023): RMSNorm, rotary positions, grouped-query attention, gated MLP. */
export function llama(configuration: LlamaConfiguration, weights: WeightPlan = plainWeights): Architecture {
  return {
    weights,
    layers: configuration.layers,
    width: configuration.width,
    vocabularySize: configuration.vocabularySize,
    rotaryWidth: configuration.headWidth,
    rotaryFrequencies: rotaryFrequencies(configuration),
    sections: {
      attentionInput: attentionInput(configuration, weights),
      attention: attention(configuration),
      attentionOutput: attentionOutput(configuration, weights),
      finalNorm: finalNorm(configuration, weights),
    },
    step: step(configuration, weights),
    parameterName,
    embedding: "model.embed_tokens.weight",
    head: configuration.tiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight",
  };
}

/** `x / sqrt(mean(x²) + ε) * weight` (Zhang & Sennrich 2019). */
function rmsNorm(x: Tensor, weight: Tensor, epsilon: number): Tensor {
  return multiply(divide(x, sqrt(add(mean(square(x)), constant(epsilon)))), weight);
}

function parameterName(section: WeightedSection, parameter: string, layer: number): string {
  if (section === "finalNorm") return "model.norm.weight";
  const block = `model.layers.${layer}`;
  const adapter = adapterParts[parameter];
  return adapter ? adapterNames(`${block}.${adapter.weight}`)[adapter.part] : `${block}.${names[parameter]}`;
}

/** A section whose weights were collected while it was built. */
function withWeights(
  weights: SectionWeights,
  section: Omit<Section, "parameters" | "constants"> & { constants?: Section["constants"] },
): ModelSection {
  return {
    ...section,
    constants: { ...section.constants, ...weights.frozen, ...weights.masks },
    parameters: weights.parameters,
    frozen: Object.keys(weights.frozen),
    masks: Object.keys(weights.masks),
  };
}

/** Query, key and value of each token, with its position rotated in. */
function project(
  c: LlamaConfiguration,
  x: Tensor,
  { cos, sin }: Record<"cos" | "sin", Tensor>,
  weights: SectionWeights,
) {
  const [queryWidth, keyValueWidth] = [c.heads * c.headWidth, c.keyValueHeads * c.headWidth];
  const bias = { bias: c.attentionBias };
  const normed = rmsNorm(x, weights.vector("inputNorm", c.width), c.normEpsilon);
  const rotate = (flat: Tensor, heads: number) => {
    const perHead = reshape(flat, ["tokens", heads, c.headWidth]);
    const rotated = add(multiply(perHead, cos), multiply(rotateHalf(perHead), sin));
    return reshape(rotated, ["tokens", heads * c.headWidth]);
  };
  return {
    query: rotate(weights.linear("query", queryWidth, c.width, bias)(normed), c.heads),
    key: rotate(weights.linear("key", keyValueWidth, c.width, bias)(normed), c.keyValueHeads),
    value: weights.linear("value", keyValueWidth, c.width, bias)(normed),
  };
}

function rotaryInputs(c: LlamaConfiguration) {
  return { cos: input(["tokens", 1, c.headWidth]), sin: input(["tokens", 1, c.headWidth]) };
}

function attentionInput(c: LlamaConfiguration, plan: WeightPlan): ModelSection {
  const x = input(["tokens", c.width]);
  const constants = rotaryInputs(c);
  const weights = new SectionWeights(plan, modules);
  const outputs = project(c, x, constants, weights);
  return withWeights(weights, { name: "attention input", inputs: { x }, constants, outputs, saved: {} });
}

function attention(c: LlamaConfiguration): Section {
  const query = input(["length", c.heads * c.headWidth]);
  const key = input(["length", c.keyValueHeads * c.headWidth]);
  const value = input(["length", c.keyValueHeads * c.headWidth]);
  const mask = input(["length", "length"]);
  // [length, groups * perGroup * headWidth] to [groups, perGroup, length, headWidth]; keys and values broadcast over a group's queries.
  const perHead = (flat: Tensor, perGroup: number) =>
    transpose(reshape(flat, ["length", c.keyValueHeads, perGroup, c.headWidth]), [1, 2, 0, 3]);
  const scores = matmul(perHead(query, c.heads / c.keyValueHeads), perHead(key, 1), { transposeB: true });
  const probabilities = softmax(add(scale(scores, c.headWidth ** -0.5), mask));
  const context = matmul(probabilities, perHead(value, 1));
  return {
    name: "attention",
    inputs: { query, key, value },
    constants: { mask },
    parameters: {},
    outputs: { context: reshape(transpose(context, [2, 0, 1, 3]), ["length", c.heads * c.headWidth]) },
    // The probabilities are quadratic in the length, so they are computed again.
    saved: {},
  };
}

/** The block behind its attention: projection, residual, MLP. */
function finish(c: LlamaConfiguration, x: Tensor, context: Tensor, weights: SectionWeights) {
  const bias = { bias: c.mlpBias };
  const output = weights.linear("output", c.width, c.heads * c.headWidth, { bias: c.attentionBias });
  const middle = add(x, output(context));
  const normed = rmsNorm(middle, weights.vector("postAttentionNorm", c.width), c.normEpsilon);
  const gate = weights.linear("gate", c.feedForwardWidth, c.width, bias)(normed);
  const up = weights.linear("up", c.feedForwardWidth, c.width, bias)(normed);
  const down = weights.linear("down", c.width, c.feedForwardWidth, bias);
  return { output: add(middle, down(multiply(silu(gate), up))), middle, gate, up };
}

function attentionOutput(c: LlamaConfiguration, plan: WeightPlan): ModelSection {
  const x = input(["tokens", c.width]);
  const context = input(["tokens", c.heads * c.headWidth]);
  const weights = new SectionWeights(plan, modules);
  const { output, ...saved } = finish(c, x, context, weights);
  return withWeights(weights, { name: "attention output", inputs: { x, context }, outputs: { output }, saved });
}

/**
 * A whole block for one new token of each sequence. The token attends to the cached ones and to itself; its own key and value are not in
 * the cache yet, so its share of the attention is found from the log-sum-exp of the others' scores.
 */
function step(c: LlamaConfiguration, plan: WeightPlan): Step {
  const x = input(["tokens", c.width]);
  const cached = ["length", "tokens", c.keyValueHeads, c.headWidth];
  const [cachedKey, cachedValue] = [input(cached), input(cached)];
  const mask = input(["tokens", 1, 1, "length"]);
  const rotary = rotaryInputs(c);
  const weights = new SectionWeights({ ...plan, dropout: false }, modules);
  const { query, key, value } = project(c, x, rotary, weights);
  const perGroup = (flat: Tensor, heads: number) => reshape(flat, ["tokens", c.keyValueHeads, heads, c.headWidth]);
  // [tokens, groups, perGroup, headWidth] against [tokens, groups, length, headWidth]
  const queries = scale(perGroup(query, c.heads / c.keyValueHeads), c.headWidth ** -0.5);
  const scores = add(matmul(queries, transpose(cachedKey, [1, 2, 0, 3]), { transposeB: true }), mask);
  const logProbabilities = logSoftmax(scores);
  const probabilities = exp(logProbabilities);
  // [tokens, groups, perGroup, 1]
  const logSumExp = sum(multiply(probabilities, subtract(scores, logProbabilities)), [3], { keepDimensions: true });
  const ownScore = sum(multiply(queries, perGroup(key, 1)), [3], { keepDimensions: true });
  const ownShare = sigmoid(subtract(ownScore, logSumExp));
  const others = matmul(probabilities, transpose(cachedValue, [1, 2, 0, 3]));
  const mixed = add(others, multiply(ownShare, subtract(perGroup(value, 1), others)));
  const context = reshape(mixed, ["tokens", c.heads * c.headWidth]);
  const { output } = finish(c, x, context, weights);
  const inputs = { x, cachedKey, cachedValue, mask, ...rotary };
  return { inputs, weights: { ...weights.parameters, ...weights.frozen }, outputs: { output, key, value } };
}

function finalNorm(c: LlamaConfiguration, plan: WeightPlan): ModelSection {
  const x = input(["rows", c.width]);
  const weights = new SectionWeights(plan, modules);
  const hidden = rmsNorm(x, weights.vector("norm", c.width), c.normEpsilon);
  return withWeights(weights, { name: "final norm", inputs: { x }, outputs: { hidden }, saved: {} });
}
