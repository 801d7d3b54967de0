import { describe, expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { parameterShapes } from "../models/architecture.ts";
import type { LlamaConfiguration } from "./llama.ts";
import { newLlama } from "./new-llama.ts";
import { architectureOf, parseConfiguration } from "./registry.ts";

const minimal = {
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 172,
  num_hidden_layers: 5,
  num_attention_heads: 8,
  vocab_size: 512,
};
const parse = (changes: object) => parseConfiguration({ ...minimal, ...changes }, "config.json") as LlamaConfiguration;
const llama3 = {
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
  rope_type: "llama3",
};

describe("parseConfiguration", () => {
  test("fills in the defaults of transformers", () => {
    const expected = {
      family: "llama",
      width: 64,
      layers: 5,
      heads: 8,
      keyValueHeads: 8,
      headWidth: 8,
      feedForwardWidth: 172,
      vocabularySize: 512,
      contextLength: 2048,
      normEpsilon: 1e-6,
      ropeTheta: 10000,
      ropeScaling: undefined,
      rotaryWidth: 8,
      tiedEmbeddings: false,
      attentionBias: false,
      attentionOutputBias: false,
      mlpBias: false,
      bosTokenId: 1,
      eosTokenIds: [2],
    };
    expect(parse({})).toEqual({ ...expected, raw: minimal });
    const nulls = {
      num_key_value_heads: null,
      head_dim: null,
      rms_norm_eps: null,
      rope_scaling: null,
      rope_theta: null,
      tie_word_embeddings: null,
      quantization_config: null,
    };
    expect(parse(nulls)).toEqual({ ...expected, raw: { ...minimal, ...nulls } });
  });

  test("takes what is given, and keeps what it does not know", () => {
    const json = { num_key_value_heads: 2, head_dim: 16, tie_word_embeddings: true, attention_bias: true, other: [1] };
    const configuration = parse(json);
    expect(configuration).toMatchObject({ keyValueHeads: 2, headWidth: 16, tiedEmbeddings: true, attentionBias: true });
    expect(configuration.raw).toEqual({ ...minimal, ...json });
  });

  test.each([
    [128001, [128001]],
    [
      [128001, 128009],
      [128001, 128009],
    ],
    [null, []],
  ])("end of sequence %j", (given, expected) => expect(parse({ eos_token_id: given }).eosTokenIds).toEqual(expected));

  test("no beginning of sequence", () => expect(parse({ bos_token_id: null }).bosTokenId).toBeUndefined());

  const scaling = {
    type: "llama3",
    factor: 8,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalContextLength: 8192,
  };
  test.each([
    ["transformers 4", { rope_theta: 5e5, rope_scaling: llama3 }, 5e5, scaling],
    ["transformers 5", { rope_parameters: { ...llama3, rope_theta: 5e5 } }, 5e5, scaling],
    ["transformers 5, unscaled", { rope_parameters: { rope_theta: 5e5, rope_type: "default" } }, 5e5, undefined],
    ["both", { rope_theta: 1, rope_parameters: { rope_theta: 5e5, rope_type: "default" } }, 5e5, undefined],
    ["linear", { rope_scaling: { type: "linear", factor: 2 } }, 10000, { type: "linear", factor: 2 }],
  ])("rotary parameters of %s", (_, changes, ropeTheta, ropeScaling) => {
    const configuration = parse(changes);
    expect(configuration.ropeTheta).toBe(ropeTheta);
    expect(configuration.ropeScaling).toEqual(ropeScaling);
  });

  test.each<[object, string]>([
    [{ model_type: "opt" }, 'model_type: "opt" is not supported; supported are gemma, gemma2, gemma3_text'],
    [{ model_type: undefined }, "model_type: is missing; supported"],
    [{ partial_rotary_factor: 0.5 }, "partial_rotary_factor: rotating only a part"],
    [{ is_encoder_decoder: true }, "is_encoder_decoder: true is not supported, only false"],
    [{ pruned_heads: { 1: [0] } }, 'pruned_heads: {"1":[0]} is not supported, only {}'],
    [{ architectures: ["LlamaForSequenceClassification"] }, 'architectures: ["LlamaForSequenceClassification"] is not'],
    [{ hidden_act: "gelu" }, 'hidden_act: "gelu" is not supported, only "silu"'],
    [{ pretraining_tp: 2 }, "pretraining_tp: 2 is not supported, only 1"],
    [{ quantization_config: { bits: 4 } }, "quantization_config: quantized weights are not supported; use the"],
    [{ num_attention_heads: 7 }, "hidden_size: 64 cannot be divided into 7 heads"],
    [{ num_key_value_heads: 3 }, "num_key_value_heads: 3 key-value heads cannot be shared evenly by 8 heads"],
    [{ head_dim: 7 }, "head_dim: must be even"],
    [{ hidden_size: undefined }, "hidden_size: Invalid input: expected number"],
    [{ hidden_size: "64" }, "hidden_size: Invalid input: expected number, received string"],
    [{ num_hidden_layers: 0 }, "num_hidden_layers: Too small"],
    [{ num_hidden_layers: 1.5 }, "num_hidden_layers: Invalid input: expected int"],
    [{ eos_token_id: "</s>" }, "eos_token_id: Invalid input"],
    [{ tie_word_embeddings: "true" }, "tie_word_embeddings: Invalid input: expected boolean"],
  ])("refuses %j", (changes, message) => {
    expect(() => parse(changes)).toThrow(UserError);
    expect(() => parse(changes)).toThrow(`config.json: ${message}`);
  });

  test.each([null, [], "text"])("refuses %j for an object", (json) => {
    expect(() => parseConfiguration(json, "config.json")).toThrow("config.json: must be a JSON object");
  });

  test("an architecture is enough without a model_type", () => {
    const json = { ...minimal, model_type: undefined, architectures: ["LlamaForCausalLM"] };
    expect(parseConfiguration(json, "config.json").family).toBe("llama");
  });
});

describe("createConfiguration", () => {
  const sizes = { width: 64, layers: 2, heads: 4, feedForwardWidth: 96, vocabularySize: 100, contextLength: 32 };

  test("is what its config.json says", () => {
    const configuration = newLlama({
      ...sizes,
      keyValueHeads: 2,
      tiedEmbeddings: true,
      bosTokenId: 3,
      eosTokenIds: [4, 5],
    });
    expect(configuration).toMatchObject({
      ...sizes,
      keyValueHeads: 2,
      headWidth: 16,
      normEpsilon: 1e-5,
      tiedEmbeddings: true,
      bosTokenId: 3,
      eosTokenIds: [4, 5],
    });
    expect(configuration.raw).toMatchObject({ architectures: ["LlamaForCausalLM"], torch_dtype: "float32" });
    expect(parseConfiguration(JSON.parse(JSON.stringify(configuration.raw)), "config.json")).toEqual(configuration);
  });

  test("has no special tokens unless given", () => {
    expect(newLlama(sizes)).toMatchObject({ bosTokenId: undefined, eosTokenIds: [] });
  });

  test("checks that the sizes fit", () => {
    expect(() => newLlama({ ...sizes, keyValueHeads: 3 })).toThrow(UserError);
    expect(() => newLlama({ ...sizes, heads: 5 })).toThrow(UserError);
  });
});

const untied = newLlama({
  width: 8,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  headWidth: 6,
  feedForwardWidth: 16,
  vocabularySize: 10,
  contextLength: 32,
});
const tied = { ...untied, tiedEmbeddings: true };

test("names and shapes of a small model", () => {
  expect(Object.fromEntries(parameterShapes(architectureOf(untied)))).toEqual({
    "model.embed_tokens.weight": [10, 8],
    "model.layers.0.input_layernorm.weight": [8],
    "model.layers.0.self_attn.q_proj.weight": [12, 8],
    "model.layers.0.self_attn.k_proj.weight": [6, 8],
    "model.layers.0.self_attn.v_proj.weight": [6, 8],
    "model.layers.0.self_attn.o_proj.weight": [8, 12],
    "model.layers.0.post_attention_layernorm.weight": [8],
    "model.layers.0.mlp.gate_proj.weight": [16, 8],
    "model.layers.0.mlp.up_proj.weight": [16, 8],
    "model.layers.0.mlp.down_proj.weight": [8, 16],
    "model.norm.weight": [8],
    "lm_head.weight": [10, 8],
  });
  expect(parameterShapes(architectureOf(tied)).has("lm_head.weight")).toBe(false);
});

test("biases", () => {
  const shapes = parameterShapes(
    architectureOf({ ...untied, attentionBias: true, attentionOutputBias: true, mlpBias: true } as LlamaConfiguration),
  );
  const biases = [...shapes].filter(([name]) => name.endsWith(".bias"));
  expect(biases.map(([name, shape]) => [name.slice("model.layers.0.".length), shape])).toEqual([
    ["self_attn.q_proj.bias", [12]],
    ["self_attn.k_proj.bias", [6]],
    ["self_attn.v_proj.bias", [6]],
    ["self_attn.o_proj.bias", [8]],
    ["mlp.gate_proj.bias", [16]],
    ["mlp.up_proj.bias", [16]],
    ["mlp.down_proj.bias", [8]],
  ]);
});
