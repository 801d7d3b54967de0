import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../test/helpers/runs.ts";
import { modelPath, openModelFolder } from "./folder.ts";
import { cachedModel } from "./hub-cache.ts";
import { writeTinyModel } from "./testing/tiny-adapter.ts";

let root: string;
beforeEach(async () => {
  root = await temporaryFolder();
});

const isPickle = /(is|are) a pickle of PyTorch, which can run code and is not read/;

/** A new folder with empty files. */
async function folderOf(...names: string[]): Promise<string> {
  const path = join(root, `folder of ${names[0]}`);
  await mkdir(path);
  for (const name of names) await writeFile(join(path, name), "");
  return path;
}

describe("weights in another form are named, with what to do", () => {
  test.each<[string, RegExp]>([
    ["model.Q4_K_M.gguf", /GGUF, which is not read \(model\.Q4_K_M\.gguf\); use the model that it was made from/],
    ["pytorch_model.bin", isPickle],
    ["pytorch_model-00001-of-00002.bin", isPickle],
    ["adapter_model.bin", /pickle.*\(adapter_model\.bin\); convert it: load it in PEFT/],
    ["policy.pt", isPickle],
    ["consolidated.00.pth", isPickle],
    ["last.ckpt", isPickle],
    ["adapters.safetensors", /is an adapter of mlx-lm.*merge it into its base: mlx_lm\.fuse/],
    ["adapters.npz", /is an adapter of mlx-lm/],
    ["0000100_adapters.safetensors", /is an adapter of mlx-lm/],
    [
      "model.fp16.safetensors",
      /no model\.safetensors, but a variant of it \(model\.fp16\.safetensors\); rename that to/,
    ],
    [
      "model.fp16-00001-of-00002.safetensors",
      /a variant of it in several files .*; load it in transformers with `variant`/,
    ],
    ["model.safetensors.index.fp16.json", /a variant of it in several files/],
    ["pytorch_model.safetensors", /holds no model\.safetensors \(pytorch_model\.safetensors\); rename/],
    ["model.safetensors.incomplete", /not been downloaded to their end .*; download the model again/],
    ["model.safetensors.crdownload", /not been downloaded to their end/],
    ["model.safetensors.aria2", /not been downloaded to their end/],
    ["model.zip", /its weights are packed \(model\.zip\); unpack it/],
    ["model.safetensors.gz", /its weights are packed/],
    ["ggml-model-q4_0.bin", /GGUF, which is not read/],
    ["zero_to_fp32.py", /checkpoint of DeepSpeed.*python zero_to_fp32\.py/],
    ["global_step100", /checkpoint of DeepSpeed/],
    ["__0_0.distcp", /checkpoint of FSDP.*accelerate merge-weights/],
    ["pytorch_model_fsdp_0", /checkpoint of FSDP/],
    ["openvino_model.bin", /OpenVINO/],
    ["model.ckpt.index", /TensorFlow/],
    ["diffusion_pytorch_model.safetensors", /a part of a diffusion model/],
    ["rust_model.ot", /format of another library/],
    ["model.keras", /format of another library/],
    ["tf_model.h5.index.json", /format of another library/],
    ["model.onnx_data", /format of another library/],
    ["onnx", /in a folder for another library \(onnx\)/],
    ["consolidated.safetensors", /Mistral's own tools/],
    ["flax_model.msgpack", /format of another library/],
    ["tf_model.h5", /format of another library/],
    ["model.onnx", /format of another library/],
  ])("%s", async (name, message) => {
    const path = await folderOf(name, "README.md", "training_args.bin");
    await expect(openModelFolder(path)).rejects.toThrow(message);
    // The same beside a config.json, as most of them come.
    const other = await writeTinyModel(join(root, "other"));
    await rename(join(other, "model.safetensors"), join(other, name));
    await expect(openModelFolder(other)).rejects.toThrow(message);
  });

  test("an adapter of mlx-lm with its own adapter_config.json", async () => {
    const path = await folderOf("adapters.safetensors");
    await writeFile(join(path, "adapter_config.json"), '{"fine_tune_type": "lora", "lora_parameters": {"rank": 8}}');
    await expect(openModelFolder(path)).rejects.toThrow(/is an adapter of mlx-lm.* mlx_lm\.fuse/);
  });

  test("a state of the optimizer is no weights", async () => {
    const path = await folderOf("training_args.bin", "optimizer.pt", "rng_state_0.pth", "scheduler.pt");
    await expect(openModelFolder(path)).rejects.toThrow(/is not a model folder: it holds no config\.json/);
  });

  test.each([
    ["model.safetensors", "config.json"],
    ["model-00001-of-00002.safetensors", "config.json"],
    ["adapter_model.safetensors", "adapter_config.json"],
  ])("%s without a configuration is no other form: the configuration is what is missing", async (name, missing) => {
    const message = `is not a model folder: it holds no config.json and no adapter_config.json; download the ${missing} that belongs`;
    await expect(openModelFolder(await folderOf(name, "pytorch_model.bin"))).rejects.toThrow(message);
  });

  test("some files of several without their index, and none at all", async () => {
    const path = await writeTinyModel(join(root, "model"));
    await rename(join(path, "model.safetensors"), join(path, "model-00001-of-00001.safetensors"));
    await expect(openModelFolder(path)).rejects.toThrow(
      /several files without their index, .*; download the index too/,
    );
    await rm(join(path, "model-00001-of-00001.safetensors"));
    await expect(openModelFolder(path)).rejects.toThrow(/holds no weights: neither .*; download them too/);
  });

  test("a file in place of a folder", async () => {
    const path = await folderOf("model.safetensors", "config.json");
    const other = await folderOf("model.gguf");
    await expect(openModelFolder(join(other, "model.gguf"))).rejects.toThrow(/is a file, not a model folder; .*GGUF/);
    const message = `is a file, not a folder; give the folder that it lies in: ${path}`;
    await expect(openModelFolder(join(path, "model.safetensors"))).rejects.toThrow(message);
    await expect(openModelFolder(join(path, "config.json"))).rejects.toThrow(message);
  });

  test("a folder of models, one or two levels too high", async () => {
    const model = await writeTinyModel(join(root, "all", "models", "one"));
    for (const path of [join(root, "all", "models"), join(root, "all")])
      await expect(openModelFolder(path)).rejects.toThrow(`give one that lies in it: ${model}`);
  });

  test("a folder of runs, and one of a cache", async () => {
    await writeTinyModel(join(root, "runs", "first", "model"));
    await writeTinyModel(join(root, "hub", "models--a--b", "snapshots", "abc"));
    for (const [path, inside] of [
      ["runs", "first"],
      ["hub", "models--a--b"],
    ] as const) {
      const message = `give one that lies in it: ${join(root, path, inside)}`;
      await expect(openModelFolder(join(root, path))).rejects.toThrow(message);
    }
  });

  test("a folder in a model's folder, one or two levels too low", async () => {
    const model = await writeTinyModel(join(root, "model"));
    await mkdir(join(model, "onnx", "quantized"), { recursive: true });
    await writeFile(join(model, "onnx", "model.onnx"), "");
    for (const path of [join(model, "onnx"), join(model, "onnx", "quantized")])
      await expect(openModelFolder(path)).rejects.toThrow(`it lies in a model's folder: give ${model}`);
  });
});

describe("a file that is not what its name says", () => {
  test.each<[string, string, RegExp]>([
    ["model.safetensors", "version https://git-lfs.github.com/spec/v1\n", /is a Git LFS pointer, not the weights; run/],
    ["model.safetensors", "<!DOCTYPE html><html>Sign in</html>", /is a web page, not the weights; download/],
    ["model.safetensors", "PK\x03\x04archive/data.pkl", isPickle],
    ["model.safetensors", "\x80\x04\x95\0\0\0\0\0\0\0\0", isPickle],
    ["model.safetensors", "", /model\.safetensors: not a safetensors file: it is empty; download the file itself/],
    ["model.safetensors", "\0".repeat(100), /begins with zeros, as an unfinished download does/],
    [
      "model.safetensors",
      '{"error":"Access to model is restricted"}',
      /not a safetensors file, but a text, perhaps a server's/,
    ],
    ["model.safetensors", "Entry not found", /not a safetensors file, but a text/],
    ["model.safetensors", "\x1f\x8b\x08\0\0\0\0\0\0", /is packed; unpack it/],
    ["model.safetensors", "\x89HDF\r\n\x1a\n", /is an HDF5 file/],
    ["model.safetensors", "GGUF\x03\0\0\0\0\0\0\0", /is in llama\.cpp's format/],
    ["config.json", "version https://git-lfs.github.com/spec/v1\n", /config\.json: is a Git LFS pointer, not the file/],
    ["config.json", "\n<!doctype html>", /config\.json: is a web page/],
  ])("%s that begins with %j", async (name, content, message) => {
    const path = await writeTinyModel(join(root, "model"));
    await writeFile(join(path, name), content, "latin1");
    await expect(openModelFolder(path)).rejects.toThrow(message);
  });
});

describe("the cache of the Hub", () => {
  const cache = () => join(root, "hub", "models--someone--small");
  const snapshot = (commit: string) => join(cache(), "snapshots", commit);

  /** As the Hub's libraries lay it out: links to blobs. */
  async function download(commit: string): Promise<void> {
    const blobs = await writeTinyModel(join(cache(), "blobs", commit));
    await mkdir(snapshot(commit), { recursive: true });
    for (const name of ["config.json", "model.safetensors"]) {
      await symlink(join(blobs, name), join(snapshot(commit), name));
    }
  }

  test("the only snapshot is meant, whatever a desktop left beside it", async () => {
    await download("abc");
    await writeFile(join(cache(), "snapshots", ".DS_Store"), "");
    for (const path of [cache(), join(cache(), "snapshots")]) expect(modelPath(path)).toBe(snapshot("abc"));
    expect((await openModelFolder(modelPath(cache()))).path).toBe(snapshot("abc"));
  });

  test("of several, that of the main branch", async () => {
    await download("abc");
    await download("def");
    await mkdir(join(cache(), "refs"));
    await writeFile(join(cache(), "refs", "main"), "def");
    expect(modelPath(cache())).toBe(snapshot("def"));
  });

  test("of several without a main branch, none: they are listed", async () => {
    await download("abc");
    await download("def");
    const message = `is a model's folder in a cache, with 2 snapshots; give one of ${snapshot("abc")}, `;
    await expect(openModelFolder(modelPath(cache()))).rejects.toThrow(message);
  });

  test("a download that never finished", async () => {
    await mkdir(join(cache(), "snapshots"), { recursive: true });
    await expect(openModelFolder(modelPath(cache()))).rejects.toThrow(/with 0 snapshots; download the model again/);
  });

  test("a link to a file that was not downloaded to its end", async () => {
    await download("abc");
    await rm(join(cache(), "blobs", "abc", "model.safetensors"));
    const message =
      /model\.safetensors: cannot read: it is a link to a file that is not there; was it moved, or not down/;
    await expect(openModelFolder(modelPath(cache()))).rejects.toThrow(message);
  });

  test("a name of the Hub that has been downloaded is answered with its folder", async () => {
    await download("abc");
    expect(cachedModel("someone/small", { HF_HUB_CACHE: join(root, "hub") })).toBe(cache());
    expect(cachedModel("someone/other", { HF_HUB_CACHE: join(root, "hub") })).toBeUndefined();
    expect(cachedModel("someone/small", { HF_HOME: root })).toBe(cache());
    expect(cachedModel("../small", { HF_HOME: root })).toBeUndefined();
  });
});
