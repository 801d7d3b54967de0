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
import { linear, matmul } from "../graph/ops/matmul.ts";
import { mean, sum } from "../graph/ops/reduce.ts";
import { reshape, rotateHalf, transpose } from "../graph/ops/shape.ts";
import { logSoftmax, softmax } from "../graph/ops/softmax.ts";
import type { Section } from "../graph/section.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import type { Architecture, Step } from "./architecture.ts";
import type { LlamaConfiguration } from "./configuration.ts";
import { rotaryFrequencies } from "./rotary.ts";

/** Checkpoint names of the parameters, without `model.layers.N.`. */
const names: Readonly<Record<string, string>> = {
  inputNorm: "input_layernorm.weight",
  queryWeight: "self_attn.q_proj.weight",
  keyWeight: "self_attn.k_proj.weight",
  valueWeight: "self_attn.v_proj.weight",
  queryBias: "self_attn.q_proj.bias",
  keyBias: "self_attn.k_proj.bias",
  valueBias: "self_attn.v_proj.bias",
  outputWeight: "self_attn.o_proj.weight",
  outputBias: "self_attn.o_proj.bias",
  postAttentionNorm: "post_attention_layernorm.weight",
  gateWeight: "mlp.gate_proj.weight",
  upWeight: "mlp.up_proj.weight",
  downWeight: "mlp.down_proj.weight",
  gateBias: "mlp.gate_proj.bias",
  upBias: "mlp.up_proj.bias",
  downBias: "mlp.down_proj.bias",
};

/** The Llama architecture (Touvron et al. 2023): RMSNorm, rotary positions, grouped-query attention, gated MLP. */
export function llama(configuration: LlamaConfiguration): Architecture {
  return {
    layers: configuration.layers,
    width: configuration.width,
    vocabularySize: configuration.vocabularySize,
    rotaryWidth: configuration.headWidth,
    rotaryFrequencies: rotaryFrequencies(configuration),
    sections: {
      attentionInput: attentionInput(configuration),
      attention: attention(configuration),
      attentionOutput: attentionOutput(configuration),
      finalNorm: finalNorm(configuration),
    },
    step: step(configuration),
    parameterName: (section, parameter, layer) =>
      section === "finalNorm" ? "model.norm.weight" : `model.layers.${layer}.${names[parameter]}`,
    embedding: "model.embed_tokens.weight",
    head: configuration.tiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight",
  };
}

/** `x / sqrt(mean(x²) + ε) * weight` (Zhang & Sennrich 2019). */
function rmsNorm(x: Tensor, weight: Tensor, epsilon: number): Tensor {
  return multiply(divide(x, sqrt(add(mean(square(x)), constant(epsilon)))), weight);
}

type Tensors = Readonly<Record<string, Tensor>>;

/** Query, key and value of each token, with its position rotated in. */
function project(c: LlamaConfiguration, x: Tensor, { cos, sin }: Record<"cos" | "sin", Tensor>, parameters: Tensors) {
  const normed = rmsNorm(x, parameters.inputNorm!, c.normEpsilon);
  const rotate = (flat: Tensor, heads: number) => {
    const perHead = reshape(flat, ["tokens", heads, c.headWidth]);
    const rotated = add(multiply(perHead, cos), multiply(rotateHalf(perHead), sin));
    return reshape(rotated, ["tokens", heads * c.headWidth]);
  };
  return {
    query: rotate(linear(normed, parameters.queryWeight!, parameters.queryBias), c.heads),
    key: rotate(linear(normed, parameters.keyWeight!, parameters.keyBias), c.keyValueHeads),
    value: linear(normed, parameters.valueWeight!, parameters.valueBias),
  };
}

function rotaryInputs(c: LlamaConfiguration) {
  return { cos: input(["tokens", 1, c.headWidth]), sin: input(["tokens", 1, c.headWidth]) };
}

function projectionParameters(c: LlamaConfiguration): Tensors {
  const [queryWidth, keyValueWidth] = [c.heads * c.headWidth, c.keyValueHeads * c.headWidth];
  return {
    inputNorm: input([c.width]),
    queryWeight: input([queryWidth, c.width]),
    keyWeight: input([keyValueWidth, c.width]),
    valueWeight: input([keyValueWidth, c.width]),
    ...(c.attentionBias && {
      queryBias: input([queryWidth]),
      keyBias: input([keyValueWidth]),
      valueBias: input([keyValueWidth]),
    }),
  };
}

function attentionInput(c: LlamaConfiguration): Section {
  const x = input(["tokens", c.width]);
  const constants = rotaryInputs(c);
  const parameters = projectionParameters(c);
  const outputs = project(c, x, constants, parameters);
  return { name: "attention input", inputs: { x }, constants, parameters, outputs, saved: {} };
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
function finish(c: LlamaConfiguration, x: Tensor, context: Tensor, parameters: Tensors) {
  const middle = add(x, linear(context, parameters.outputWeight!, parameters.outputBias));
  const normed = rmsNorm(middle, parameters.postAttentionNorm!, c.normEpsilon);
  const gate = linear(normed, parameters.gateWeight!, parameters.gateBias);
  const up = linear(normed, parameters.upWeight!, parameters.upBias);
  const output = add(middle, linear(multiply(silu(gate), up), parameters.downWeight!, parameters.downBias));
  return { output, middle, gate, up };
}

function outputParameters(c: LlamaConfiguration): Tensors {
  return {
    outputWeight: input([c.width, c.heads * c.headWidth]),
    postAttentionNorm: input([c.width]),
    gateWeight: input([c.feedForwardWidth, c.width]),
    upWeight: input([c.feedForwardWidth, c.width]),
    downWeight: input([c.width, c.feedForwardWidth]),
    ...(c.attentionBias && { outputBias: input([c.width]) }),
    ...(c.mlpBias && {
      gateBias: input([c.feedForwardWidth]),
      upBias: input([c.feedForwardWidth]),
      downBias: input([c.width]),
    }),
  };
}

function attentionOutput(c: LlamaConfiguration): Section {
  const x = input(["tokens", c.width]);
  const context = input(["tokens", c.heads * c.headWidth]);
  const parameters = outputParameters(c);
  const { output, ...saved } = finish(c, x, context, parameters);
  return { name: "attention output", inputs: { x, context }, constants: {}, parameters, outputs: { output }, saved };
}

/**
 * A whole block for one new token of each sequence. The token attends to the cached ones and to itself; its own key and value are not in
 * the cache yet, so its share of the attention is found from the log-sum-exp of the others' scores.
 */
function step(c: LlamaConfiguration): Step {
  const x = input(["tokens", c.width]);
  const cached = ["length", "tokens", c.keyValueHeads, c.headWidth];
  const [cachedKey, cachedValue] = [input(cached), input(cached)];
  const mask = input(["tokens", 1, 1, "length"]);
  const rotary = rotaryInputs(c);
  const parameters = { attentionInput: projectionParameters(c), attentionOutput: outputParameters(c) };
  const { query, key, value } = project(c, x, rotary, parameters.attentionInput);
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
  const { output } = finish(c, x, context, parameters.attentionOutput);
  const inputs = { x, cachedKey, cachedValue, mask, ...rotary };
  return { inputs, parameters, outputs: { output, key, value } };
}

function finalNorm(c: LlamaConfiguration): Section {
  const x = input(["rows", c.width]);
  const parameters = { norm: input([c.width]) };
  return {
    name: "final norm",
    inputs: { x },
    constants: {},
    parameters,
    outputs: { hidden: rmsNorm(x, parameters.norm, c.normEpsilon) },
    saved: {},
  };
}
