import { describe, expect, test } from "vitest";
import { createConfiguration, type LlamaConfiguration } from "../families/configuration.ts";
import type { TensorEntry } from "../storage/safetensors-header.ts";
import { checkParameters, parameterShapes } from "./parameter-shapes.ts";

const untied = createConfiguration({
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
  expect(Object.fromEntries(parameterShapes(untied))).toEqual({
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
  expect(parameterShapes(tied).has("lm_head.weight")).toBe(false);
});

test("biases", () => {
  const shapes = parameterShapes({ ...untied, attentionBias: true, mlpBias: true });
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

describe("checkParameters", () => {
  const float = (shape: readonly number[]): TensorEntry => ({ dtype: "BF16", shape, offset: 0, bytes: 0 });
  const stored = (configuration: LlamaConfiguration) =>
    new Map(Array.from(parameterShapes(configuration), ([name, shape]) => [name, float(shape)]));
  const check = (tensors: Map<string, TensorEntry>, configuration: LlamaConfiguration) => () =>
    checkParameters(tensors, configuration, "folder");

  test("lets a whole model through, with what old versions stored as well", () => {
    expect(check(stored(untied), untied)).not.toThrow();
    const old = stored(untied).set("model.layers.0.self_attn.rotary_emb.inv_freq", float([3]));
    expect(check(old, untied)).not.toThrow();
  });

  test("lists what is missing", () => {
    expect(check(stored(tied), untied)).toThrow("folder: missing lm_head.weight; if the head is the embedding matrix");
    const two = { ...untied, layers: 2 };
    const tensors = stored(untied);
    tensors.delete("model.norm.weight");
    expect(check(tensors, two)).toThrow(/^folder: missing model.layers.1.input_layernorm.weight, .* and 6 more$/);
    const strange = new Map(Array.from(tensors, ([name, entry]) => [`decoder.${name}`, entry]));
    expect(check(strange, two)).toThrow(/more; it names its tensors otherwise: "decoder.model.embed_tokens.weight"$/);
  });

  test("names what has another shape or dtype", () => {
    const tensors = stored(untied).set("model.norm.weight", float([9]));
    expect(check(tensors, untied)).toThrow("folder: model.norm.weight must be floats [8], found BF16 [9]; config.json");
    tensors.set("model.norm.weight", { ...float([8]), dtype: "I32" });
    expect(check(tensors, untied)).toThrow("model.norm.weight must be floats [8], found I32 [8]");
  });

  test("lists what the model has no place for", () => {
    const tensors = stored(untied).set("model.layers.0.self_attn.q_proj.bias", float([12]));
    expect(check(tensors, untied)).toThrow("no place for: model.layers.0.self_attn.q_proj.bias; config.json does not");
  });
});
