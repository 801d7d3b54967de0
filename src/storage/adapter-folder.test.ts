import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../test/helpers/runs.ts";
import { newLlama } from "../families/new-llama.ts";
import { architectureOf } from "../families/registry.ts";
import { parameterShapes } from "../models/architecture.ts";
import { adapterShapes } from "../models/lora.ts";
import { modelPath, openModelFolder } from "./folder.ts";
import { type NamedTensor, type StreamedTensor, writeSafetensors } from "./safetensors.ts";
import { saveAdapterFolder } from "./save-adapter-folder.ts";
import {
  adapterFor,
  numbersFor,
  tinyConfiguration,
  tinyLora,
  writeTinyAdapter,
  writeTinyModel,
} from "./testing/tiny-adapter.ts";

let root: string;
let base: string;
let path: string;
beforeEach(async () => {
  root = await temporaryFolder();
  base = await writeTinyModel(join(root, "base"));
  path = await writeTinyAdapter(join(root, "adapter"), base);
});

const file = () => join(path, "adapter_config.json");
const weightsFile = () => join(path, "adapter_model.safetensors");

/** Rewrites adapter_config.json with other settings; undefined takes a key out. */
async function configure(changes: Record<string, unknown>): Promise<void> {
  const json = JSON.parse(await readFile(file(), "utf8")) as Record<string, unknown>;
  await writeFile(file(), JSON.stringify({ ...json, ...changes }));
}

type Tensors = Map<string, NamedTensor | StreamedTensor>;

/** Rewrites the adapter's tensors. */
async function store(change: (tensors: Tensors) => unknown): Promise<void> {
  const tensors = new Map<string, NamedTensor | StreamedTensor>(
    Array.from(adapterFor(tinyLora), ([name, tensor]) => [name, { name, ...tensor }]),
  );
  change(tensors);
  await writeSafetensors(weightsFile(), tensors.values());
}

const layer = (index: number, module = "self_attn.q_proj") => `base_model.model.model.layers.${index}.${module}`;
const zeros = (name: string, shape: readonly number[]): NamedTensor => ({
  ...{ name, shape, data: new Float32Array(shape.reduce((product, length) => product * length)) },
});

describe("saving and opening", () => {
  test("gives settings and every bit back, with those of the base", async () => {
    const folder = await openModelFolder(path);
    expect(folder).toMatchObject({ path, configuration: tinyConfiguration, lora: tinyLora, tokenizerFolder: base });
    expect(folder.base).toMatchObject({ path: base, tokenizerFolder: base });
    expect(folder.base).not.toHaveProperty("lora");
    const shapes = [
      ...parameterShapes(architectureOf(tinyConfiguration)),
      ...adapterShapes(architectureOf(tinyConfiguration), tinyLora),
    ];
    expect([...folder.parameters.keys()].sort()).toEqual(shapes.map(([name]) => name).sort());
    const written = new Map([
      ...numbersFor(parameterShapes(architectureOf(tinyConfiguration))),
      ...Array.from(adapterFor(tinyLora), ([name, { data }]) => [name, data] as const),
    ]);
    for (const [name, shape] of shapes) {
      expect(folder.parameters.get(name)!.shape).toEqual(shape);
      expect(await folder.read(name)).toEqual(written.get(name));
    }
    const into = new Float32Array(16);
    expect(await folder.read(`${layer(1)}.lora_B.weight`, into)).toBe(into);
    expect(() => folder.read("other")).toThrow("has no parameter other");
  });

  test("names and settings are PEFT's", async () => {
    expect(await readdir(path)).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
    expect([...adapterFor(tinyLora).keys()].slice(0, 2)).toEqual([
      "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
      "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight",
    ]);
    const json = JSON.parse(await readFile(file(), "utf8")) as Record<string, unknown>;
    expect(json).toMatchObject({ peft_type: "LORA", task_type: "CAUSAL_LM", bias: "none", r: 2, lora_alpha: 6 });
    expect(json).toMatchObject({ lora_dropout: 0.1, use_rslora: false, target_modules: ["q_proj", "down_proj"] });
    expect(Object.keys(json)).toEqual(Object.keys(json).sort());
  });

  test("in bfloat16, over another model, and with a tokenizer of its own", async () => {
    for (const name of ["tokenizer.json", "generation_config.json"]) await writeFile(join(base, name), "{}");
    const target = await writeTinyModel(join(root, "other"));
    const saved = {
      lora: { ...tinyLora, rslora: true },
      base: relative(process.cwd(), base),
      adapter: adapterFor(tinyLora),
    };
    await saveAdapterFolder(target, { ...saved, tokenizerFrom: base, dtype: "bfloat16" });
    expect(await readdir(target)).toEqual(["adapter_config.json", "adapter_model.safetensors", "tokenizer.json"]);
    const folder = await openModelFolder(target);
    expect(folder).toMatchObject({ tokenizerFolder: target, lora: { rslora: true }, base: { path: base } });
    const name = `${layer(0)}.lora_A.weight`;
    expect(folder.parameters.get(name)!.dtype).toBe("BF16");
    expect(await folder.read(name)).toEqual(saved.adapter.get(name)!.data);
  });

  test("refuses numbers that diverged and files that are not a model's, keeping what is there", async () => {
    const adapter = adapterFor(tinyLora);
    const name = `${layer(1)}.lora_B.weight`;
    adapter.get(name)!.data[3] = Number.POSITIVE_INFINITY;
    const before = await readFile(weightsFile());
    await expect(saveAdapterFolder(path, { lora: tinyLora, base, adapter })).rejects.toThrow(
      `${path}: ${name}: not saved: Infinity at index 3; the training has diverged`,
    );
    expect(await readFile(weightsFile())).toEqual(before);
    await writeFile(join(path, "thesis.txt"), "kept");
    await expect(writeTinyAdapter(path, base)).rejects.toThrow("replacing the folder would delete thesis.txt");
    expect(await readdir(root)).toEqual(["adapter", "base"]);
  });
});

describe("what PEFT writes is read", () => {
  test.each<[string, Record<string, unknown>, object]>([
    ["a pattern for the modules", { target_modules: ".*(q_proj|down_proj)" }, {}],
    ["all linear layers, as far as there are tensors", { target_modules: "all-linear" }, {}],
    ["modules by longer names", { target_modules: ["self_attn.q_proj", "model.layers.0.mlp.down_proj"] }, {}],
    ["modules that the base does not have", { target_modules: ["q_proj", "down_proj", "fc1"] }, {}],
    [
      "a module that was left out",
      { target_modules: ["q_proj", "v_proj", "down_proj"], exclude_modules: ["v_proj"] },
      {},
    ],
    ["rank-stabilised scaling", { use_rslora: true, lora_alpha: 0.5 }, { rslora: true, alpha: 0.5 }],
    ["no dropout", { lora_dropout: undefined }, { dropout: 0 }],
    ["another beginning", { init_lora_weights: "gaussian", task_type: null }, {}],
    [
      "what a newer PEFT says and does not use",
      {
        ...{ peft_version: "0.18.0", qalora_group_size: 16, use_qalora: false, eva_config: null, lora_bias: false },
        ...{ exclude_modules: ["lm_head"], ensure_weight_tying: false, target_parameters: null, revision: "main" },
        ...{ trainable_token_indices: null, auto_mapping: { base_model_class: "LlamaForCausalLM" }, future: [] },
      },
      {},
    ],
  ])("%s", async (_, changes, lora) => {
    await configure(changes);
    expect((await openModelFolder(path)).lora).toEqual({ ...tinyLora, ...lora });
  });

  test("names of a state dict that was saved without it", async () => {
    const before = await openModelFolder(path);
    await store((tensors) => {
      for (const [key, tensor] of [...tensors]) {
        const other = `_orig_mod.${key.replace("base_model.model.", "").replace(/weight$/, "default.weight")}`;
        tensors.delete(key);
        tensors.set(other, { ...tensor, name: other });
      }
    });
    const opened = await openModelFolder(path);
    expect([...opened.parameters.keys()].sort()).toEqual([...before.parameters.keys()].sort());
    for (const [key, { data }] of adapterFor(tinyLora)) expect(await opened.read(key)).toEqual(data);
  });

  test("half-precision floats", async () => {
    const name = `${layer(0)}.lora_A.weight`;
    const halves = new Uint8Array(new Uint16Array(16).fill(0x3e00).buffer);
    await store((tensors) => tensors.set(name, { name, shape: [2, 8], dtype: "F16", pieces: inOnePiece(halves) }));
    expect(await (await openModelFolder(path)).read(name)).toEqual(new Float32Array(16).fill(1.5));
  });
});

async function* inOnePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

describe("the base", () => {
  test("is found beside the adapter, and by its path from the working directory", async () => {
    await configure({ base_model_name_or_path: "../base" });
    expect((await openModelFolder(path)).base!.path).toBe(join(root, "base"));
    await configure({ base_model_name_or_path: relative(process.cwd(), base) });
    expect((await openModelFolder(path)).base!.path).toBe(relative(process.cwd(), base));
  });

  test("can be given, also as a run", async () => {
    await configure({ base_model_name_or_path: "someone/model" });
    await mkdir(join(root, "run"));
    await rename(base, join(root, "run", "model"));
    const opened = await openModelFolder(path, { base: join(root, "run") });
    expect(opened.base!.path).toBe(join(root, "run", "model"));
    await expect(openModelFolder(path, { base: join(root, "none") })).rejects.toThrow(
      `${join(root, "none")}: cannot read the base: no such file or folder`,
    );
    await expect(openModelFolder(opened.base!.path, { base })).rejects.toThrow("is a whole model, not an adapter");
  });

  test.each<[string, unknown, RegExp]>([
    ["a model of the Hub", "someone/model", /base_model_name_or_path: .* "someone\/model", is no folder.*; download/],
    ["nothing", null, /base_model_name_or_path: does not say which model the adapter is for; name its folder/],
    ["an empty folder", "..", /base_model_name_or_path: .* "\.\.", is no folder with a model/],
    ["the adapter itself", ".", /adapter: as the base of an adapter: is an adapter itself; make it a whole model/],
  ])("may not be %s", async (_, name, message) => {
    await configure({ base_model_name_or_path: name });
    await expect(openModelFolder(path)).rejects.toThrow(message);
  });

  test.each<[string, object, string | RegExp]>([
    [
      "narrower",
      { width: 4 },
      /q_proj\.lora_A\.weight: must be floats \[2, 4\] for the base, .*, found F32 \[2, 8\]; is this/,
    ],
    [
      "deeper",
      { layers: 3 },
      /layers\.2\..*q_proj\.lora_A\.weight: is missing, and so are 3 more; .* is this the model/,
    ],
    [
      "shallower",
      { layers: 1 },
      /layers\.1\..*lora_A\.weight: is for a layer that the base, .*, does not have; is this/,
    ],
  ])("of another adapter is told: %s", async (_, sizes, message) => {
    const { width, layers, heads, feedForwardWidth, vocabularySize, contextLength } = tinyConfiguration;
    const usual = { width, layers, heads, feedForwardWidth, vocabularySize, contextLength };
    await writeTinyModel(base, "float32", newLlama({ ...usual, ...sizes }));
    await expect(openModelFolder(path)).rejects.toThrow(message);
  });
});

describe("openModelFolder refuses an adapter", () => {
  const option =
    "the adapter was trained with an option that tokenwise lacks; merge the adapter into its base with PEFT";
  test.each<[string, unknown, string]>([
    ["r", 0, "must be a whole number from 1 on, found 0"],
    ["r", 1.5, "must be a whole number from 1 on, found 1.5"],
    ["r", undefined, "is missing"],
    ["r", 4, ""],
    ["lora_alpha", undefined, "is missing"],
    ["lora_alpha", 0, "must be a number above 0, found 0"],
    ["lora_alpha", "16", 'must be a number above 0, found "16"'],
    ["lora_dropout", 2, "must be a number from 0 to 1, found 2"],
    ["peft_type", "IA3", 'must be LORA, found "IA3"; merge'],
    ["peft_type", undefined, "is missing"],
    ["task_type", "SEQ_CLS", 'must be CAUSAL_LM, found "SEQ_CLS"; merge'],
    ["bias", "lora_only", 'must be none, found "lora_only"; merge'],
    [
      "init_lora_weights",
      "pissa_niter_16",
      'must be true, false or gaussian, since others may change the base, found "pissa',
    ],
    ["init_lora_weights", "loftq", 'must be true, false or gaussian, since others may change the base, found "loftq'],
    ["target_modules", ["q_proj"], "does not list down_proj, for which adapter_model.safetensors has matrices"],
    ["use_dora", true, `true: ${option}`],
    ["lora_bias", true, `true: ${option}`],
    ["modules_to_save", ["lm_head"], `["lm_head"]: ${option}`],
    ["layers_to_transform", [0], `[0]: ${option}`],
    ["layers_pattern", "layers", `"layers": ${option}`],
    ["rank_pattern", { q_proj: 4 }, `{"q_proj":4}: ${option}`],
    ["alpha_pattern", { q_proj: 4 }, `{"q_proj":4}: ${option}`],
    ["layer_replication", [[0, 2]], `[[0,2]]: ${option}`],
    ["trainable_token_indices", [1], `[1]: ${option}`],
    ["target_parameters", ["experts"], `["experts"]: ${option}`],
    ["use_qalora", true, `true: ${option}`],
    ["alora_invocation_tokens", [1, 2], `[1,2]: ${option}`],
    ["megatron_config", { layers: 2 }, `{"layers":2}: ${option}`],
    ["loftq_config", { loftq_bits: 4 }, `{"loftq_bits":4}: ${option}`],
    ["corda_config", { rho: 1 }, `{"rho":1}: ${option}`],
    ["invented_later", 0, `0: ${option}`],
  ])("whose %s is %j", async (key, value, message) => {
    await configure({ [key]: value });
    const place = message ? `${file()}: ${key}: ${message}` : "adapter_config.json must have the adapter's rank as r";
    await expect(openModelFolder(path)).rejects.toThrow(place);
  });

  test.each<[string, (tensors: Tensors) => unknown, RegExp]>([
    [
      "without a matrix",
      (tensors) => tensors.delete(`${layer(1)}.lora_B.weight`),
      /layers\.1.*lora_B\.weight: is missing; /,
    ],
    ["without matrices", (tensors) => tensors.clear(), /adapter_model\.safetensors: holds no matrices of an adapter/],
    ...["lm_head.lora_A.weight", "model.embed_tokens.lora_embedding_A", "model.norm.weight"].map(
      (name): [string, (tensors: Tensors) => unknown, RegExp] => [
        `with ${name}`,
        (tensors) => tensors.set(name, zeros(`base_model.model.${name}`, [8])),
        /base_model\.model\..*: has no place: .* linear layers of blocks.*; merge/,
      ],
    ),
    [
      "with a magnitude of DoRA",
      (tensors) => tensors.set("dora", zeros(`${layer(0)}.lora_magnitude_vector`, [8])),
      /lora_magnitude_vector: has no place/,
    ],
  ])("%s", async (_, change, message) => {
    await store(change);
    await expect(openModelFolder(path)).rejects.toThrow(message);
  });

  test("without the matrices of a module that it lists", async () => {
    await configure({ target_modules: ["q_proj", "v_proj", "down_proj"] });
    const message = "layers.0.self_attn.v_proj.lora_A.weight: is missing, and so are 3 more; an adapter needs both";
    await expect(openModelFolder(path)).rejects.toThrow(message);
  });

  test("as a pickle, without weights, beside a whole model, and in bad JSON", async () => {
    const pickle = join(path, "adapter_model.bin");
    await rename(weightsFile(), pickle);
    await expect(openModelFolder(path)).rejects.toThrow(
      /pickle of PyTorch, which can run code and is not read .*; convert/,
    );
    await rm(pickle);
    await expect(openModelFolder(path)).rejects.toThrow("holds no adapter_model.safetensors");
    for (const text of ["[]", "null"]) {
      await writeFile(file(), text);
      await expect(openModelFolder(path)).rejects.toThrow(`${file()}: must be a JSON object`);
    }
    await writeFile(join(base, "adapter_config.json"), "{}");
    await expect(openModelFolder(base)).rejects.toThrow("holds both a whole model and an adapter; move one");
  });
});

test("a run's folder means the adapter in it", async () => {
  const run = join(root, "run");
  await mkdir(run);
  await rename(path, join(run, "model"));
  expect(modelPath(run)).toBe(join(run, "model"));
  expect(modelPath(join(run, "model"))).toBe(join(run, "model"));
});
