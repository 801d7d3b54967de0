/** Each family from files in every form that they come in: names, number formats, several files. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { writeByteTokenizer } from "../src/data/tokens/byte-tokenizer.ts";
import { createEngine } from "../src/engine/create.ts";
import { architectureOf, familyOf } from "../src/families/registry.ts";
import { defaultGenerateOptions, generate } from "../src/generate/generate.ts";
import { parameterShapes } from "../src/models/architecture.ts";
import type { ModelConfiguration } from "../src/models/configuration.ts";
import { bytesOf, type Dtype, toBfloat16 } from "../src/number-formats.ts";
import { openModelFolder } from "../src/storage/folder.ts";
import { loadLanguageModel } from "../src/storage/load-model.ts";
import { loadModelTokenizer } from "../src/storage/model-tokenizer.ts";
import { type StreamedTensor, writeSafetensors } from "../src/storage/safetensors.ts";
import { formatConfiguration } from "../src/storage/save-folder.ts";
import { numbersFor } from "../src/storage/testing/tiny-adapter.ts";
import { temporaryFolder } from "./helpers/runs.ts";
import { tinyConfiguration, tinyFamilies } from "./helpers/tiny.ts";

interface Form {
  readonly dtype?: Dtype;
  readonly files?: number;
  readonly name?: (name: string) => string;
  /** Tensors besides the parameters. */
  readonly more?: readonly string[];
}

/** Multiples of 1/16, which every format of floats holds. */
const sixteenths = (data: Float32Array): Float32Array => data.map((value) => Math.round(value * 16) / 16);

/** Bit patterns of such numbers below 1 in float16. */
function toFloat16(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, (value) => {
    if (value === 0) return 0;
    const exponent = Math.floor(Math.log2(Math.abs(value)));
    return (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | ((Math.abs(value) / 2 ** exponent - 1) * 1024);
  });
}

function stored(dtype: Dtype, data: Float32Array): Uint8Array {
  if (dtype === "F64") return bytesOf(Float64Array.from(data));
  if (dtype === "F16") return bytesOf(toFloat16(data));
  if (dtype === "F8_E4M3") return new Uint8Array(data.length);
  if (dtype === "F32") return bytesOf(data);
  const bits = new Uint16Array(data.length);
  toBfloat16(data, bits);
  return bytesOf(bits);
}

/** Writes a model's folder in a form, and gives the numbers that it holds. */
async function write(path: string, configuration: ModelConfiguration, form: Form): Promise<Map<string, Float32Array>> {
  const { dtype = "F32", files = 1, name: rename = (name) => name, more = [] } = form;
  const shapes = parameterShapes(architectureOf(configuration));
  const numbers = new Map(Array.from(numbersFor(shapes), ([name, data]) => [name, sixteenths(data)]));
  const tensors = Array.from(numbers, ([name, data]): StreamedTensor => {
    const pieces = (async function* () {
      yield stored(dtype, data);
    })();
    return { name: rename(name), shape: shapes.get(name)!, dtype, pieces };
  });
  const besides = more.map((name) => ({ name, shape: [2], data: new Float32Array(2) }));
  const all = [...tensors, ...besides];
  await mkdir(path, { recursive: true });
  const places: Record<string, string> = {};
  for (let file = 1; file <= files; file++) {
    const digits = (number: number) => String(number).padStart(5, "0");
    const name = files === 1 ? "model.safetensors" : `model-${digits(file)}-of-${digits(files)}.safetensors`;
    const own = all.filter((_, index) => index % files === file - 1);
    for (const tensor of own) places[tensor.name] = name;
    await writeSafetensors(join(path, name), own);
  }
  if (files > 1) await writeFile(join(path, "model.safetensors.index.json"), JSON.stringify({ weight_map: places }));
  await writeFile(join(path, "config.json"), formatConfiguration(configuration.raw, "float32"));
  return numbers;
}

/** Tensors that older versions of transformers, or other tools, stored beside the parameters. */
const buffers: Readonly<Record<string, readonly string[]>> = {
  gpt2: ["transformer.h.0.attn.bias", "transformer.h.1.attn.masked_bias"],
  gpt_neo: ["transformer.h.0.attn.attention.bias", "transformer.h.1.attn.attention.masked_bias"],
  gptj: ["transformer.h.0.attn.bias", "transformer.h.1.attn.masked_bias", "transformer.h.1.attn.embed_positions"],
  gpt_neox: [
    ...["gpt_neox.layers.0.attention.bias", "gpt_neox.layers.1.attention.masked_bias"],
    "gpt_neox.layers.1.attention.rotary_emb.inv_freq",
  ],
  llama: ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"],
};

const families: Readonly<Record<string, Readonly<Record<string, unknown>>>> = { llama: {}, ...tinyFamilies };

describe.each(Object.keys(families))("%s", (family) => {
  const configuration = tinyConfiguration(families[family]);
  const { prefix } = familyOf(configuration);
  const bare = (name: string) => (name.startsWith(prefix) ? name.slice(prefix.length) : name);

  test.each<[string, Form]>([
    ["in float64", { dtype: "F64" }],
    ["in float16", { dtype: "F16" }],
    ["in bfloat16", { dtype: "BF16" }],
    ["in three files", { files: 3 }],
    ["in three files of bfloat16, compiled", { files: 3, dtype: "BF16", name: (name) => `_orig_mod.${name}` }],
    ["of a parallel module", { name: (name) => `module.${name}` }],
    ["of the base model alone", { name: bare }],
    ["of the base model alone, in a parallel module", { name: (name) => `module.${bare(name)}` }],
    ["with older buffers", { more: buffers[family] ?? buffers.llama! }],
    ["with older buffers, compiled", { more: (buffers[family] ?? buffers.llama!).map((name) => `_orig_mod.${name}`) }],
  ])("%s", async (_, form) => {
    const path = join(await temporaryFolder(), "model");
    const numbers = await write(path, configuration, form);
    const folder = await openModelFolder(path);
    for (const [name, data] of numbers) expect(await folder.read(name), name).toEqual(data);
    const engine = await createEngine({ backend: "float64", threads: 1 });
    const { parameters } = await loadLanguageModel(engine, folder);
    for (const [name, data] of numbers) expect([...parameters.get(name)!.data], name).toEqual([...data]);
  });

  test("numbers of 8 bits are refused by the name of their format", async () => {
    const path = join(await temporaryFolder(), "model");
    await write(path, configuration, { dtype: "F8_E4M3" });
    await expect(openModelFolder(path)).rejects.toThrow(/must be floats \[.*\], found F8_E4M3 \[/);
  });

  test("a vocabulary padded beyond the tokenizer's: only what has a text is generated", async () => {
    const path = join(await temporaryFolder(), "model");
    const padded = tinyConfiguration({ ...families[family], vocab_size: 300, ...tokens });
    await write(path, padded, {});
    await writeByteTokenizer(path);
    const folder = await openModelFolder(path);
    const tokenizer = await loadModelTokenizer(folder);
    const engine = await createEngine({ threads: 1 });
    try {
      const model = await loadLanguageModel(engine, folder, { frozen: true });
      const options = { ...defaultGenerateOptions, samples: 4, maxNewTokens: 8, temperature: 100 };
      for await (const answers of generate(engine, model, tokenizer, [Int32Array.of(65, 66)], options)) {
        expect(answers).toHaveLength(4);
        for (const answer of answers) for (const id of answer.tokens) expect(id).toBeLessThan(257);
      }
    } finally {
      engine.dispose();
    }
  });
});

const tokens = { bos_token_id: 256, eos_token_id: 256 };
