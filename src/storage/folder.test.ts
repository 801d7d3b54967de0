import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hashes } from "../../test/helpers/runs.ts";
import { newLlama } from "../families/new-llama.ts";
import { architectureOf } from "../families/registry.ts";
import { parameterShapes } from "../models/architecture.ts";
import { type ModelFolder, openModelFolder } from "./folder.ts";
import { openSafetensors, writeSafetensors } from "./safetensors.ts";
import { elementCount } from "./safetensors-header.ts";
import { formatConfiguration, saveModelFolder } from "./save-folder.ts";

const configuration = newLlama({
  width: 8,
  layers: 2,
  heads: 2,
  feedForwardWidth: 12,
  vocabularySize: 10,
  contextLength: 32,
});
const parameters = new Map(
  Array.from(parameterShapes(architectureOf(configuration)), ([name, shape], seed) => {
    const data = Float32Array.from({ length: elementCount(shape) }, (_, index) => Math.sin(seed + index) / 3);
    return [name, data];
  }),
);

async function readParameters(folder: ModelFolder): Promise<Map<string, Float32Array>> {
  const read = new Map<string, Float32Array>();
  for (const name of parameterShapes(folder.architecture).keys()) read.set(name, await folder.read(name));
  return read;
}

let root: string;
let path: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "folder-"));
  path = join(root, "model");
});
afterEach(() => rm(root, { recursive: true }));

describe("saving and opening", () => {
  test.each([5e9, 1000, 1])("gives every bit back, with at most %d bytes per file", async (shardBytes) => {
    await saveModelFolder(path, { configuration, parameters, shardBytes });
    const folder = await openModelFolder(path);
    expect(folder.configuration).toEqual(configuration);
    expect([...folder.parameters.keys()].sort()).toEqual([...parameters.keys()].sort());
    const loaded = await readParameters(folder);
    expect([...loaded.keys()]).toEqual([...parameters.keys()]);
    expect(loaded).toEqual(parameters);
  });

  test("shards as transformers does", async () => {
    await saveModelFolder(path, { configuration, parameters, shardBytes: 2000 });
    const names = await readdir(path);
    expect(names).toEqual([
      "config.json",
      "model-00001-of-00003.safetensors",
      "model-00002-of-00003.safetensors",
      "model-00003-of-00003.safetensors",
      "model.safetensors.index.json",
    ]);
    const index = JSON.parse(await readFile(join(path, names[4]!), "utf8"));
    const numbers = [...parameters.values()].reduce((sum, { length }) => sum + length, 0);
    expect(index.metadata).toEqual({ total_size: 4 * numbers });
    for (const shard of names.slice(1, 4)) {
      const { tensors } = await openSafetensors(join(path, shard));
      expect([...tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(2000);
      for (const name of tensors.keys()) expect(index.weight_map[name]).toBe(shard);
    }
  });

  test("rounds to bfloat16 once, and says so in config.json", async () => {
    await saveModelFolder(path, { configuration, parameters, dtype: "bfloat16" });
    const folder = await openModelFolder(path);
    expect(folder.parameters.get("lm_head.weight")!.dtype).toBe("BF16");
    expect(folder.configuration.raw.torch_dtype).toBe("bfloat16");
    const rounded = await readParameters(folder);
    expect(rounded.get("lm_head.weight")![1]).toBeCloseTo(parameters.get("lm_head.weight")![1]!, 2);
    await saveModelFolder(path, { configuration, parameters: rounded, dtype: "bfloat16" });
    expect(await readParameters(await openModelFolder(path))).toEqual(rounded);
  });

  test("writes parameters that are made one at a time as it writes the others", async () => {
    for (const dtype of ["float32", "bfloat16"] as const) {
      const [given, lazy] = [join(root, "given"), join(root, "lazy")];
      let making = 0;
      const made = Array.from(parameters, ([name, data]) => {
        const make = async () => {
          expect(++making).toBe(1);
          await new Promise((resolve) => setTimeout(resolve));
          making--;
          return data;
        };
        return [name, make] as const;
      });
      await saveModelFolder(given, { configuration, parameters, dtype, shardBytes: 1000 });
      await saveModelFolder(lazy, { configuration, parameters: new Map(made), dtype, shardBytes: 1000 });
      expect(await hashes(lazy)).toEqual(await hashes(given));
    }
  });

  test("generation_config.json comes from elsewhere where the tokenizer has none beside it", async () => {
    for (const [folder, text] of [
      ["a", "1"],
      ["b", "2"],
    ] as const) {
      await mkdir(join(root, folder));
      await writeFile(join(root, folder, "generation_config.json"), text);
    }
    const [tokenizerFrom, generationFrom] = [join(root, "a"), join(root, "b")];
    const file = join(path, "generation_config.json");
    await saveModelFolder(path, { configuration, parameters, tokenizerFrom, generationFrom });
    expect(await readFile(file, "utf8")).toBe("1");
    await rm(join(tokenizerFrom, "generation_config.json"));
    await saveModelFolder(path, { configuration, parameters, tokenizerFrom, generationFrom });
    expect(await readFile(file, "utf8")).toBe("2");
  });

  test("copies the tokenizer, from the very folder it replaces as well", async () => {
    await saveModelFolder(path, { configuration, parameters, shardBytes: 1000 });
    await writeFile(join(path, "tokenizer.json"), "{}", { mode: 0o444 });
    await writeFile(join(path, "chat_template.jinja"), "{{ messages }}");
    await mkdir(join(path, "additional_chat_templates"));
    await writeFile(join(path, "additional_chat_templates", "tool_use.jinja"), "{{ tools }}");
    await saveModelFolder(path, { configuration, parameters, tokenizerFrom: path });
    const templates = ["additional_chat_templates", "chat_template.jinja"];
    expect(await readdir(path)).toEqual([...templates, "config.json", "model.safetensors", "tokenizer.json"]);
    expect(await readFile(join(path, "additional_chat_templates", "tool_use.jinja"), "utf8")).toBe("{{ tools }}");
    expect(await readFile(join(path, "chat_template.jinja"), "utf8")).toBe("{{ messages }}");
    expect(await readdir(root)).toEqual(["model"]);
  });

  test("reads into a given array", async () => {
    await saveModelFolder(path, { configuration, parameters });
    const into = new Float32Array(8);
    expect(await (await openModelFolder(path)).read("model.norm.weight", into)).toBe(into);
    expect(into).toEqual(parameters.get("model.norm.weight"));
  });
});

describe("saveModelFolder refuses", () => {
  test("to delete files that are not a model's", async () => {
    await mkdir(path);
    await writeFile(join(path, "thesis.txt"), "kept");
    const saving = saveModelFolder(path, { configuration, parameters });
    await expect(saving).rejects.toThrow(`${path}: replacing the folder would delete thesis.txt; choose another`);
    expect(await readFile(join(path, "thesis.txt"), "utf8")).toBe("kept");
  });

  test("numbers that diverged, keeping the old model", async () => {
    await saveModelFolder(path, { configuration, parameters });
    const diverged = new Map(parameters).set("model.norm.weight", new Float32Array(8).fill(Number.NaN, 3));
    const saving = saveModelFolder(path, { configuration, parameters: diverged });
    await expect(saving).rejects.toThrow("model.norm.weight: not saved: NaN at index 3; the training has diverged");
    expect(await readParameters(await openModelFolder(path))).toEqual(parameters);
  });

  test("parameters that are not the model's, as our fault", async () => {
    const missing = new Map(parameters);
    missing.delete("model.norm.weight");
    const surplus = new Map(parameters).set("other", new Float32Array(1));
    const wrong = new Map(parameters).set("model.norm.weight", new Float32Array(9));
    for (const given of [missing, surplus, wrong]) {
      await expect(saveModelFolder(path, { configuration, parameters: given })).rejects.toThrow(RangeError);
    }
    expect(await readdir(root)).toEqual([]);
  });

  test("a tokenizer folder that is missing, leaving nothing", async () => {
    const saving = saveModelFolder(path, { configuration, parameters, tokenizerFrom: join(root, "missing") });
    await expect(saving).rejects.toThrow("missing: cannot copy the tokenizer: no such file or folder");
    expect(await readdir(root)).toEqual([]);
  });
});

describe("openModelFolder refuses", () => {
  const weights = () => join(path, "model.safetensors");

  test("a missing folder, a file, an empty folder", async () => {
    await expect(openModelFolder(path)).rejects.toThrow(`${path}: no such model folder; a model of the Hub`);
    await writeFile(path, "");
    await expect(openModelFolder(path)).rejects.toThrow("is a file, not a folder");
    await expect(openModelFolder(root)).rejects.toThrow("it holds no config.json and no adapter_config.json");
  });

  test.each([
    ["pytorch_model.bin", /pickle of PyTorch, which can run code and is not read .*; convert it/],
    ["pytorch_model.bin.index.json", /pickle of PyTorch/],
    ["model.gguf", /GGUF, which is not read/],
  ])("weights only in %s", async (name, message) => {
    await saveModelFolder(path, { configuration, parameters });
    await rename(weights(), join(path, name));
    await expect(openModelFolder(path)).rejects.toThrow(message);
  });

  test("weights that the configuration does not describe", async () => {
    await saveModelFolder(path, { configuration, parameters });
    const raw = { ...configuration.raw, vocab_size: 11 };
    await writeFile(join(path, "config.json"), formatConfiguration(raw, "float32"));
    const message = "model.safetensors: model.embed_tokens.weight must be floats [11, 8], found F32 [10, 8]";
    await expect(openModelFolder(path)).rejects.toThrow(message);
  });

  test("NaN among the weights", async () => {
    await saveModelFolder(path, { configuration, parameters });
    const tensors = Array.from(parameterShapes(architectureOf(configuration)), ([name, shape]) => {
      const data = parameters.get(name)!.slice();
      if (name === "model.layers.1.mlp.up_proj.weight") data[5] = Number.NaN;
      return { name, shape, data };
    });
    await writeSafetensors(weights(), tensors);
    const reading = readParameters(await openModelFolder(path));
    await expect(reading).rejects.toThrow("model.layers.1.mlp.up_proj.weight: NaN at index 5 of [12,8]");
  });

  describe("an index", () => {
    const index = () => join(path, "model.safetensors.index.json");
    const shard = "model-00002-of-00003.safetensors";
    let map: Record<string, string>;
    const remap = (change: (map: Record<string, string>) => void) => {
      change(map);
      return writeFile(index(), JSON.stringify({ weight_map: map }));
    };
    beforeEach(async () => {
      await saveModelFolder(path, { configuration, parameters, shardBytes: 2000 });
      map = JSON.parse(await readFile(index(), "utf8")).weight_map;
    });

    test.each(["../other.safetensors", "/etc/model.safetensors", "a\\b.safetensors", "..", "notes.txt", ""])(
      "that leads to %j",
      async (target) => {
        await remap((map) => {
          map["model.norm.weight"] = target;
        });
        const message = `model.norm.weight: "${target}" is not the name of a safetensors file in the folder`;
        await expect(openModelFolder(path)).rejects.toThrow(message);
      },
    );

    test("whose file is missing", async () => {
      await rm(join(path, shard));
      await expect(openModelFolder(path)).rejects.toThrow(`"${shard}" is missing; download the model again`);
    });

    test("that names the wrong file", async () => {
      await remap((map) => {
        map["model.embed_tokens.weight"] = shard;
      });
      await expect(openModelFolder(path)).rejects.toThrow(`model.embed_tokens.weight: is not in "${shard}"`);
    });

    test("whose files hold a tensor twice", async () => {
      const shape = [8];
      const twice = { name: "model.norm.weight", shape, data: new Float32Array(8) };
      await writeSafetensors(join(path, "more.safetensors"), [twice, { ...twice, name: "more" }]);
      await remap((map) => {
        map.more = "more.safetensors";
      });
      await expect(openModelFolder(path)).rejects.toThrow("model.norm.weight: is in two files");
    });

    test.each(["[]", '{"weight_map": {"a": 1}}'])("of another form: %s", async (text) => {
      await writeFile(index(), text);
      await expect(openModelFolder(path)).rejects.toThrow("weight_map: must map the name of each tensor to a file");
    });
  });
});

test("config.json keeps unknown keys and writes floats as Python does", () => {
  const raw = {
    other: { factor: "8", list: [1, '"factor": 8'] },
    rope_theta: 10000,
    rope_scaling: { factor: 8, low_freq_factor: 1.5 },
    final_logit_softcapping: 30,
    attn_logit_softcapping: null,
    dtype: "bfloat16",
  };
  const text = formatConfiguration(raw, "float32");
  expect(text).toContain('"rope_theta": 10000.0,\n');
  expect(text).toContain('"factor": 8.0,\n');
  expect(text).toContain('"final_logit_softcapping": 30.0,\n');
  expect(JSON.parse(text)).toEqual({ ...raw, dtype: "float32" });
});
