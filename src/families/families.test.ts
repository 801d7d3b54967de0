import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { openModelFolder } from "../storage/folder.ts";
import { type NamedTensor, writeSafetensors } from "../storage/safetensors.ts";
import { familyOf, parseConfiguration } from "./registry.ts";

const golden = (name: string) =>
  fileURLToPath(new URL(`../../test/golden/architectures/${name}/config.json`, import.meta.url));
const configurationOf = (name: string) => JSON.parse(readFileSync(golden(name), "utf8")) as Record<string, unknown>;
const families = ["llama", "mistral", "qwen2", "gpt2"];

/** Keys of every config.json that change nothing, and those of each family. */
const withoutEffect: Record<string, string[]> = {
  all: ["dtype", "initializer_range", "pad_token_id", "use_cache"],
  llama: ["attention_dropout"],
  mistral: ["attention_dropout"],
  qwen2: ["attention_dropout", "max_window_layers", "sliding_window"],
  gpt2: [
    ...["attn_pdrop", "embd_pdrop", "reorder_and_upcast_attn", "resid_pdrop", "summary_activation"],
    ...["summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj"],
  ],
};

describe.each(families)("config.json of %s", (name) => {
  const raw = configurationOf(name);
  const meaning = (json: object) => JSON.stringify({ ...parseConfiguration(json, "config.json"), raw: 0 });

  test("has no key that is passed over: another value is used or refused", () => {
    const silent = Object.entries(raw).flatMap(([key, value]) => {
      try {
        return meaning({ ...raw, [key]: another(value) }) === meaning(raw) ? [key] : [];
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
        expect((error as UserError).message).toContain("config.json: ");
        return [];
      }
    });
    expect(silent.sort()).toEqual([...withoutEffect.all!, ...withoutEffect[name]!].sort());
  });

  test("has known keys only; others are told of, since they may be meant", () => {
    const family = familyOf(parseConfiguration(raw, "config.json"));
    expect(family.unknownKeys(raw)).toEqual([]);
    expect(family.unknownKeys({ ...raw, logit_scale: 2 })).toEqual(["logit_scale"]);
  });

  test("is understood with nulls and without what has a default", () => {
    const sizes = /size|^n_|^num_|position|heads|type|architectures|sliding/;
    const least = Object.fromEntries(Object.entries(raw).filter(([key]) => sizes.test(key)));
    expect(parseConfiguration(least, "config.json")).toMatchObject({ family: name, layers: 2, vocabularySize: 48 });
  });
});

function another(value: unknown): unknown {
  if (typeof value === "number") return value === 0 ? 0.5 : 2 * value;
  if (typeof value === "boolean") return !value;
  if (typeof value === "string") return `${value}x`;
  if (Array.isArray(value)) return value.map(another);
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, another(inner)]));
  return 7;
}

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
    expect(parse("mistral", { sliding_window: null })).toMatchObject({ window: undefined });
    expect(parse("mistral", { sliding_window: undefined })).toMatchObject({ window: 4096 });
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
    ["qwen2", { use_sliding_window: true }, "use_sliding_window: sliding windows are not supported"],
    ["qwen2", { layer_types: ["sliding_attention"] }, "layer_types.0: sliding windows are not supported"],
    ["gpt2", { activation_function: "gelu" }, 'activation_function: "gelu" is not supported, only "gelu_new" or'],
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
    for (const [name, { shape }] of original.weights) {
      tensors.push({ name: name.replace("transformer.", ""), shape, data: await original.read(name) });
    }
    const mask = { name: "h.0.attn.bias", shape: [1, 1, 32, 32], data: new Uint8Array(32 * 32) };
    const masked = { name: "h.0.attn.masked_bias", shape: [], data: Float32Array.of(-1e4) };
    await writeSafetensors(join(path, "model.safetensors"), [...tensors, mask, masked]);
    const file = join(path, "config.json");
    await writeFile(file, JSON.stringify({ ...configurationOf("gpt2"), my_key: 1 }));
    const folder = await openModelFolder(path);
    expect(folder.notes).toEqual([`${file}: not used, since no gpt2 model has them: "my_key"`]);
    expect([...folder.weights.keys()].sort()).toEqual([...original.weights.keys()].sort());
    for (const name of folder.weights.keys()) expect(await folder.read(name)).toEqual(await original.read(name));
  });
});
