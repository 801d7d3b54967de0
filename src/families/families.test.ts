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

  test("GPT-NeoX rotates a quarter of each head, and reads its own names of the rotary keys", () => {
    const none = { rope_parameters: undefined };
    const usual = { ropeTheta: 10000, rotaryWidth: 4, parallel: true, attentionBias: true, activation: "gelu" };
    expect(parse("gpt_neox", none)).toMatchObject({ ...usual, eosTokenIds: [2] });
    const own = { ...none, rotary_emb_base: 500, rotary_pct: 0.5 };
    expect(parse("gpt_neox", own)).toMatchObject({ ropeTheta: 500, rotaryWidth: 8 });
    const repeated = { ...own, rope_theta: 500, partial_rotary_factor: 0.5 };
    expect(parse("gpt_neox", repeated)).toMatchObject({ ropeTheta: 500, rotaryWidth: 8 });
    expect(parse("gpt_neox", { ...none, rope_theta: 10000 })).toMatchObject(usual);
  });

  test("Phi-3's long context is LongRoPE's by any of its names, from 4096 tokens on", () => {
    const factors = { short_factor: [1, 2, 3, 4], long_factor: [5, 6, 7, 8] };
    for (const type of ["longrope", "su", "yarn"]) {
      const rope = { rope_parameters: undefined, rope_scaling: { type, ...factors } };
      expect(parse("phi3", { ...rope, original_max_position_embeddings: undefined })).toMatchObject({
        ropeScaling: { type: "longrope", originalContextLength: 4096 },
        shortContextLength: 4096,
      });
    }
  });

  test("StableLM 2 rotates a quarter of each head, and has 32 key-value heads", () => {
    const changes = { hidden_size: 64, num_attention_heads: 32, num_key_value_heads: undefined };
    const share = { rope_parameters: undefined, partial_rotary_factor: undefined };
    expect(
      parse("stablelm", { ...share, num_key_value_heads: undefined, num_attention_heads: 32, hidden_size: 256 }),
    ).toMatchObject({ keyValueHeads: 32, headWidth: 8, rotaryWidth: 2, normEpsilon: 1e-5, eosTokenIds: [2] });
    expect(() => parse("stablelm", { ...changes, ...share })).toThrow("partial_rotary_factor: 0.25 of the 2 numbers");
  });

  test.each<[string, object, string]>([
    ["gpt_neox", { rope_theta: 500 }, "rope_theta: is not what transformers reads: that is rotary_emb_base, or 10000"],
    ["gpt_neox", { rotary_emb_base: 500, rope_theta: 10000 }, "rope_theta: is not what transformers reads"],
    ["gpt_neox", { partial_rotary_factor: 1 }, "partial_rotary_factor: is not what transformers reads"],
    ["gpt_neox", { rope_parameters: { partial_rotary_factor: 0.2 } }, "rope_parameters.partial_rotary_factor: 0.2 of"],
    ["gpt_neox", { hidden_act: "mish" }, 'hidden_act: "mish" is not supported, only gelu, gelu_fast'],
    ["gpt_neox", { head_dim: 8 }, "head_dim: heads of another width than the model's divided among them"],
    ["stablelm", { head_dim: 8 }, "head_dim: heads of another width than the model's divided among them"],
    ["gptj", { rotary_dim: 10 }, "rotary_dim: must be even and no more than the 8 numbers of a head, found 10"],
    ["gptj", { rotary_dim: null }, "rotary_dim: Invalid input: expected number, received null"],
    ["gptj", { rotary: false }, "rotary: the model has no other positions than rotary ones"],
    ["phi3", { hidden_act: "gelu" }, 'hidden_act: "gelu" is not supported, only "silu" or "swish"'],
    ["phi3", { rope_parameters: { type: "linear", factor: 2 } }, "rope_parameters: transformers' Phi-3 has no linear"],
    ["phi3", { mlp_bias: true }, "mlp_bias: true is not supported, only false"],
    ["stablelm", { hidden_act: "gelu" }, 'hidden_act: "gelu" is not supported, only "silu" or "swish"'],
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
    ["gemma", { hidden_activation: "gelu" }, 'hidden_activation: "gelu" contradicts hidden_act'],
    ["olmo", { clip_qkv: 8 }, "clip_qkv: 8 is not supported"],
    ["phi", { qk_layernorm: true }, "qk_layernorm: true is not supported, only false"],
    ["gpt_neo", { num_layers: 4 }, "attention_types: has kinds of 3 layers, and there are 4"],
    ["gpt_neo", { attention_layers: ["global", "local", "global"] }, "attention_layers: contradicts attention_types"],
    ["gpt2", { activation_function: "tanh" }, 'activation_function: "tanh" is not supported, only gelu, gelu_fast'],
    ["gpt2", { scale_attn_by_inverse_layer_idx: true }, "scale_attn_by_inverse_layer_idx: true is not supported"],
    ["gpt2", { add_cross_attention: true }, "add_cross_attention: true is not supported, only false"],
    ["gpt2", { n_head: 5 }, "n_embd: 24 cannot be divided into 5 heads"],
    ["mistral", { hidden_act: "gelu" }, 'hidden_act: "gelu" is not supported, only "silu"'],
  ])("%s refuses %j", (name, changes, message) => {
    expect(() => parse(name, changes)).toThrow(`config.json: ${message}`);
  });
});

describe("a folder", () => {
  let path: string;
  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), "family-"));
  });
  afterEach(() => rm(path, { recursive: true }));

  /** Writes the tensors of a golden model, renamed or left out, and others. */
  async function rewrite(name: string, rename: (name: string) => string | undefined, others: NamedTensor[] = []) {
    const original = await openModelFolder(join(golden(name), ".."));
    const tensors: NamedTensor[] = [];
    for (const [parameter, { shape }] of original.parameters) {
      const renamed = rename(parameter);
      if (renamed !== undefined) tensors.push({ name: renamed, shape, data: await original.read(parameter) });
    }
    await writeSafetensors(join(path, "model.safetensors"), [...tensors, ...others]);
    return original;
  }

  test("of an old Pythia: causal masks, rotary frequencies, and the head by transformers' name for it", async () => {
    const at = "gpt_neox.layers.0.attention.";
    const original = await rewrite("gpt_neox", (name) => name.replace("embed_out.", "lm_head."), [
      { name: `${at}bias`, shape: [1, 1, 64, 64], data: new Uint8Array(64 * 64) },
      { name: `${at}masked_bias`, shape: [], data: Float32Array.of(-1e9) },
      { name: `${at}rotary_emb.inv_freq`, shape: [2], data: Float32Array.of(1, 0.01) },
    ]);
    await writeFile(join(path, "config.json"), JSON.stringify(configurationOf("gpt_neox")));
    const folder = await openModelFolder(path);
    expect(folder.notes).toEqual([]);
    expect([...folder.parameters.keys()].sort()).toEqual([...original.parameters.keys()].sort());
    expect(await folder.read("embed_out.weight")).toEqual(await original.read("embed_out.weight"));
  });

  test("of a GPT-NeoX whose file has a head that config.json ties to the embedding", async () => {
    await rewrite("gpt_neox", (name) => name);
    await writeFile(
      join(path, "config.json"),
      JSON.stringify({ ...configurationOf("gpt_neox"), tie_word_embeddings: true }),
    );
    const folder = await openModelFolder(path);
    expect(folder.architecture.head).toBe("embed_out.weight");
    expect(folder.notes[0]).toContain("its embed_out.weight differs from gpt_neox.embed_in.weight");
  });

  test("of GPT-J without the bias of its head is refused by that name", async () => {
    await rewrite("gptj", (name) => (name === "lm_head.bias" ? undefined : name));
    await writeFile(join(path, "config.json"), JSON.stringify(configurationOf("gptj")));
    await expect(openModelFolder(path)).rejects.toThrow("missing lm_head.bias");
  });

  test("of GPT-2 with the names of the model below the head, its causal masks, and a key of somebody's own", async () => {
    const original = await rewrite("gpt2", (name) => name.replace("transformer.", ""), [
      { name: "h.0.attn.bias", shape: [1, 1, 32, 32], data: new Uint8Array(32 * 32) },
      { name: "h.0.attn.masked_bias", shape: [], data: Float32Array.of(-1e4) },
    ]);
    const file = join(path, "config.json");
    await writeFile(file, JSON.stringify({ ...configurationOf("gpt2"), my_key: 1 }));
    const folder = await openModelFolder(path);
    expect(folder.notes).toEqual([`${file}: not used, since no gpt2 model has them: "my_key"`]);
    expect([...folder.parameters.keys()].sort()).toEqual([...original.parameters.keys()].sort());
    for (const name of folder.parameters.keys()) expect(await folder.read(name)).toEqual(await original.read(name));
  });
});
