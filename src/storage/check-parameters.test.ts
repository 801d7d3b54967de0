import { describe, expect, test } from "vitest";
import type { LlamaConfiguration } from "../families/llama.ts";
import { newLlama } from "../families/new-llama.ts";
import { architectureOf } from "../families/registry.ts";
import { parameterShapes } from "../models/architecture.ts";
import { checkParameters } from "./check-parameters.ts";
import type { TensorEntry } from "./safetensors-header.ts";

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

describe("checkParameters", () => {
  const float = (shape: readonly number[]): TensorEntry => ({ dtype: "BF16", shape, offset: 0, bytes: 0 });
  const stored = (configuration: LlamaConfiguration) =>
    new Map(Array.from(parameterShapes(architectureOf(configuration)), ([name, shape]) => [name, float(shape)]));
  const check = (tensors: Map<string, TensorEntry>, configuration: LlamaConfiguration) => () =>
    checkParameters(tensors, architectureOf(configuration), {
      place: "folder",
      isBuffer: (name) => name.endsWith("inv_freq"),
    });

  test("lets a whole model through, with what old versions stored as well", () => {
    expect(check(stored(untied), untied)).not.toThrow();
    const old = stored(untied).set("model.layers.0.self_attn.rotary_emb.inv_freq", float([3]));
    expect(check(old, untied)).not.toThrow();
  });

  test.each([
    "model.layers.0.self_attn.q_proj.qweight",
    "model.layers.0.self_attn.q_proj.g_idx",
    "model.layers.0.self_attn.q_proj.scales",
    "model.embed_tokens.biases",
    "model.layers.0.mlp.up_proj.weight.absmax",
    "model.layers.0.mlp.up_proj.weight.quant_state.bitsandbytes__nf4",
    "model.layers.0.mlp.up_proj.weight_scale_inv",
    "model.layers.0.mlp.up_proj.weight_packed",
    "model.layers.0.mlp.up_proj.SCB",
    "model.layers.0.mlp.experts.gate_up_proj_blocks",
  ])("refuses quantized weights, which have %s", (name) => {
    const message = `folder: ${name}: its weights are quantized, which is not supported; use the unquantized model`;
    expect(check(stored(untied).set(name, float([3])), untied)).toThrow(message);
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
