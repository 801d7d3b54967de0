import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { goldenConfiguration, goldenModels } from "../../test/helpers/golden.ts";
import { tinyFamilies } from "../../test/helpers/tiny.ts";
import { openModelFolder } from "../storage/folder.ts";
import { type NamedTensor, writeSafetensors } from "../storage/safetensors.ts";
import { familyNames, parseConfiguration } from "./registry.ts";

const golden = (name: string) =>
  fileURLToPath(new URL(`../../test/golden/architectures/${name}/config.json`, import.meta.url));
const configurationOf = (name: string) => JSON.parse(readFileSync(golden(name), "utf8")) as Record<string, unknown>;

test("every family has two golden models and a random one, and is named in README.md", () => {
  const goldens = goldenModels.map((name) => goldenConfiguration(name).model_type);
  expect(familyNames.filter((family) => goldens.indexOf(family) === goldens.lastIndexOf(family))).toEqual([]);
  expect(["llama", ...Object.keys(tinyFamilies)].sort()).toEqual([...familyNames].sort());
  const readme = readFileSync(fileURLToPath(new URL("../../README.md", import.meta.url)), "utf8");
  expect(familyNames.filter((family) => !readme.includes(`\`${family}\``))).toEqual([]);
});

const both = ["full_attention", "sliding_attention"];

describe("defaults of transformers' classes", () => {
  const parse = (name: string, changes: object) =>
    parseConfiguration({ ...configurationOf(name), ...changes }, "config.json");

  test("Qwen2 has a bias on query, key and value, 32 key-value heads and no special tokens", () => {
    const raw = { ...configurationOf("qwen2"), num_attention_heads: 32, hidden_size: 64 };
    for (const key of ["num_key_value_heads", "bos_token_id", "eos_token_id", "max_position_embeddings"]) {
      delete (raw as Record<string, unknown>)[key];
    }
    expect(parseConfiguration(raw, "config.json")).toMatchObject({
      ...{ keyValueHeads: 32, bosTokenId: undefined, eosTokenIds: [], contextLength: 32768 },
      ...{ attentionBias: true, attentionOutputBias: false, mlpBias: false },
    });
  });

  test("Mistral without a window, and with the one it has unless told otherwise", () => {
    expect(parse("mistral", { sliding_window: null })).toMatchObject({ windows: [undefined, undefined] });
    expect(parse("mistral", { sliding_window: undefined })).toMatchObject({ windows: [4096, 4096] });
  });

  test("Qwen2 and Qwen3 have windows from a layer on, or where layer_types says, if they are switched on", () => {
    const layer = (change: object) => ({ use_sliding_window: true, layer_types: null, sliding_window: 8, ...change });
    for (const name of ["qwen2", "qwen3"]) {
      expect(parse(name, layer({ max_window_layers: 1 }))).toMatchObject({ windows: [undefined, 8] });
      expect(parse(name, layer({ sliding_window: undefined, max_window_layers: 0 }))).toMatchObject({
        windows: [4096, 4096],
      });
      expect(parse(name, layer({ layer_types: both.toReversed() }))).toMatchObject({ windows: [8, undefined] });
      expect(parse(name, layer({ sliding_window: null }))).toMatchObject({ windows: [undefined, undefined] });
      const off = { use_sliding_window: false, max_window_layers: 0 };
      expect(parse(name, layer(off))).toMatchObject({ windows: [undefined, undefined] });
    }
  });

  test("Qwen3's heads have 128 numbers, however wide the model", () => {
    expect(parse("qwen3", { head_dim: undefined })).toMatchObject({ headWidth: 128 });
  });

  test("SmolLM3 has no rotary positions in every fourth layer, and windows in these alone", () => {
    const four = { num_hidden_layers: 4, no_rope_layers: null, layer_types: null, rope_parameters: null };
    expect(parse("smollm3", four)).toMatchObject({ rotating: [true, true, true, false], ropeTheta: 2e6 });
    const windows = { ...four, no_rope_layer_interval: 2, use_sliding_window: true, sliding_window: 8 };
    expect(parse("smollm3", windows)).toMatchObject({ windows: [undefined, 8, undefined, 8] });
    // As transformers masks them: the switch is asked where layer_types does not say.
    const listed = { use_sliding_window: false, sliding_window: 8, layer_types: [...both, "full_attention"] };
    expect(parse("smollm3", listed)).toMatchObject({ windows: [undefined, 8, undefined] });
  });

  test("Gemma 2 has caps and, in every other layer, a window; null means none", () => {
    const raw = { layer_types: undefined, sliding_window: undefined, query_pre_attn_scalar: undefined };
    const caps = { attn_logit_softcapping: undefined, final_logit_softcapping: undefined };
    expect(parse("gemma2", { ...raw, ...caps })).toMatchObject({
      ...{ windows: [4096, undefined, 4096], scoreCap: 50, logitCap: 30, scoreScale: 1 / 16, tiedEmbeddings: true },
    });
    const none = { attn_logit_softcapping: null, final_logit_softcapping: null };
    expect(parse("gemma2", none)).toMatchObject({ scoreCap: undefined, logitCap: undefined });
  });

  test("Gemma 3 reads its two rotary bases from the keys of transformers 4 and 5 alike", () => {
    const rope_scaling = { rope_type: "linear", factor: 4 };
    const old = { rope_parameters: undefined, rope_theta: 1e6, rope_local_base_freq: 1e4, rope_scaling };
    const now = parse("gemma3_text", {});
    expect({ ...parse("gemma3_text", old), raw: 0 }).toEqual({ ...now, raw: 0 });
    expect(now).toMatchObject({
      ...{ ropeTheta: 1e6, ropeScaling: { type: "linear", factor: 4 } },
      localRope: { ropeTheta: 1e4, ropeScaling: undefined },
    });
    expect(parse("gemma3_text", { rope_parameters: null })).toMatchObject({
      ...{ ropeTheta: 1e6, ropeScaling: undefined },
      localRope: { ropeTheta: 1e4 },
    });
    const pattern = { layer_types: null, sliding_window_pattern: 2 };
    expect(parse("gemma3_text", pattern)).toMatchObject({ windows: [5, undefined, 5] });
  });

  test("GPT-2 is tied, four times as wide within, and takes the other names of its sizes", () => {
    const raw = configurationOf("gpt2");
    const { n_embd, n_layer, n_head, n_positions, tie_word_embeddings: _, ...rest } = raw;
    const renamed = {
      ...rest,
      ...{ hidden_size: n_embd, num_hidden_layers: n_layer, num_attention_heads: n_head },
      max_position_embeddings: n_positions,
    };
    const expected = { width: 24, layers: 2, heads: 4, contextLength: 32, feedForwardWidth: 96, tiedEmbeddings: true };
    expect(parseConfiguration(renamed, "config.json")).toMatchObject(expected);
    expect(() => parse("gpt2", { hidden_size: 48 })).toThrow("config.json: hidden_size: 48 contradicts n_embd");
  });

  test.each<[string, object, string]>([
    ["qwen2", { layer_types: ["full_attention"] }, "layer_types: has entries for 1 layers, and there are 2"],
    [
      "qwen2",
      { layer_types: both },
      'sliding_window: is missing or switched off, but layer 1 is a "sliding_attention"',
    ],
    ["qwen3", { layer_types: ["full_attention", "linear_attention"] }, 'layer_types.1: "linear_attention" is not sup'],
    ["smollm3", { no_rope_layers: [1, 0] }, "no_rope_layers: has entries for 2 layers, and there are 3"],
    ["smollm3", { no_rope_layers: [1, 0, 2] }, "no_rope_layers.2: "],
    ["gemma2", { hidden_activation: "gelu" }, 'hidden_activation: "gelu" is not supported, only "gelu_pytorch_tanh"'],
    ["gemma2", { use_bidirectional_attention: true }, "use_bidirectional_attention: true is not supported"],
    ["gemma2", { sliding_window: null }, "sliding_window: is missing or switched off"],
    ["gemma3_text", { rope_parameters: { rope_theta: 1e4 } }, "rope_parameters: must have full_attention and sliding_"],
    ["gemma3_text", { attn_logit_softcapping: 50 }, "attn_logit_softcapping: is Gemma 2's"],
    ["gpt2", { activation_function: "tanh" }, 'activation_function: "tanh" is not supported, only gelu, gelu_fast'],
    ["gpt2", { scale_attn_by_inverse_layer_idx: true }, "scale_attn_by_inverse_layer_idx: true is not supported"],
    ["gpt2", { add_cross_attention: true }, "add_cross_attention: true is not supported, only false"],
    ["gpt2", { n_head: 5 }, "n_embd: 24 cannot be divided into 5 heads"],
    ["mistral", { hidden_act: "gelu" }, 'hidden_act: "gelu" is not supported, only "silu"'],
  ])("%s refuses %j", (name, changes, message) => {
    expect(() => parse(name, changes)).toThrow(`config.json: ${message}`);
  });
});

describe("a folder of GPT-2", () => {
  let path: string;
  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), "gpt2-"));
  });
  afterEach(() => rm(path, { recursive: true }));

  test("with the names of the model below the head, its causal masks, and a key of somebody's own", async () => {
    const original = await openModelFolder(join(golden("gpt2"), ".."));
    const tensors: NamedTensor[] = [];
    for (const [name, { shape }] of original.parameters) {
      tensors.push({ name: name.replace("transformer.", ""), shape, data: await original.read(name) });
    }
    const mask = { name: "h.0.attn.bias", shape: [1, 1, 32, 32], data: new Uint8Array(32 * 32) };
    const masked = { name: "h.0.attn.masked_bias", shape: [], data: Float32Array.of(-1e4) };
    await writeSafetensors(join(path, "model.safetensors"), [...tensors, mask, masked]);
    const file = join(path, "config.json");
    await writeFile(file, JSON.stringify({ ...configurationOf("gpt2"), my_key: 1 }));
    const folder = await openModelFolder(path);
    expect(folder.notes).toEqual([`${file}: not used, since no gpt2 model has them: "my_key"`]);
    expect([...folder.parameters.keys()].sort()).toEqual([...original.parameters.keys()].sort());
    for (const name of folder.parameters.keys()) expect(await folder.read(name)).toEqual(await original.read(name));
  });
});
