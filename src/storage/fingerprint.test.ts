import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../../test/helpers/runs.ts";
import { writeByteModel } from "../generate/testing/byte-model.ts";
import { modelFingerprint, tokenizerFingerprint } from "./fingerprint.ts";
import { openModelFolder } from "./folder.ts";
import { writeTinyAdapter, writeTinyModel } from "./testing/tiny-adapter.ts";

let folder: string;
let model: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  model = await writeByteModel(join(folder, "model"));
});

const ofModel = async (path: string) => modelFingerprint(await openModelFolder(path));

/** Replaces a text in a file, which must be there once. */
async function replace(file: string, from: string, to: string): Promise<void> {
  const parts = (await readFile(file, "utf8")).split(from);
  expect(parts).toHaveLength(2);
  await writeFile(file, parts.join(to));
}

test("equal content is the same in another folder", async () => {
  const copy = join(folder, "elsewhere", "copy");
  await cp(model, copy, { recursive: true });
  expect(await ofModel(copy)).toBe(await ofModel(model));
  expect(await tokenizerFingerprint(copy)).toBe(await tokenizerFingerprint(model));
});

test("a byte of the weights makes another model, and back again", async () => {
  const before = await ofModel(model);
  const tokenizer = await tokenizerFingerprint(model);
  const file = join(model, "model.safetensors");
  const bytes = await readFile(file);
  bytes[bytes.length - 4]! ^= 1;
  await writeFile(file, bytes);
  expect(await ofModel(model)).not.toBe(before);
  expect(await tokenizerFingerprint(model)).toBe(tokenizer);
  bytes[bytes.length - 4]! ^= 1;
  await writeFile(file, bytes);
  expect(await ofModel(model)).toBe(before);
});

test("a byte of a setting makes another model", async () => {
  const before = await ofModel(model);
  const config = join(model, "config.json");
  const { max_position_embeddings: length } = JSON.parse(await readFile(config, "utf8"));
  await replace(config, `"max_position_embeddings": ${length}`, `"max_position_embeddings": ${length - 1}`);
  expect(await ofModel(model)).not.toBe(before);
});

test("a byte of the tokenizer makes another tokenizer, and the same model", async () => {
  const [before, tokenizer] = [await ofModel(model), await tokenizerFingerprint(model)];
  await replace(join(model, "tokenizer.json"), '"version":"1.0"', '"version":"1.1"');
  expect(await tokenizerFingerprint(model)).not.toBe(tokenizer);
  expect(await ofModel(model)).toBe(before);
});

test("an adapter is its base, its matrices and what they are for, wherever it lies", async () => {
  const base = await writeTinyModel(join(folder, "base"));
  const adapter = await writeTinyAdapter(join(folder, "adapter"), base);
  const before = await ofModel(adapter);
  expect(before).not.toBe(await ofModel(base));
  const [moved, movedBase] = [join(folder, "a", "adapter"), join(folder, "z", "base")];
  await cp(adapter, moved, { recursive: true });
  await cp(base, movedBase, { recursive: true });
  expect(await modelFingerprint(await openModelFolder(moved, { base: movedBase }))).toBe(before);
  for (const [from, to] of [
    ['"lora_alpha": 6', '"lora_alpha": 7'],
    ['"use_rslora": false', '"use_rslora": true'],
  ]) {
    await replace(join(adapter, "adapter_config.json"), from!, to!);
    expect(await ofModel(adapter)).not.toBe(before);
    await replace(join(adapter, "adapter_config.json"), to!, from!);
  }
  await replace(join(adapter, "adapter_config.json"), '"lora_dropout": 0.1', '"lora_dropout": 0.2');
  expect(await ofModel(adapter)).toBe(before);
  for (const file of [join(adapter, "adapter_model.safetensors"), join(base, "model.safetensors")]) {
    const bytes = await readFile(file);
    bytes[bytes.length - 2]! ^= 1;
    await writeFile(file, bytes);
    expect(await ofModel(adapter)).not.toBe(before);
    bytes[bytes.length - 2]! ^= 1;
    await writeFile(file, bytes);
  }
  expect(await ofModel(adapter)).toBe(before);
});

test("files that are gone are named", async () => {
  const opened = await openModelFolder(model);
  for (const name of ["tokenizer.json", "model.safetensors"]) await rm(join(model, name));
  const gone = (name: string) => ({
    name: "UserError",
    message: `${join(model, name)}: cannot read: no such file or folder`,
  });
  await expect(modelFingerprint(opened)).rejects.toMatchObject(gone("model.safetensors"));
  await expect(tokenizerFingerprint(model)).rejects.toMatchObject(gone("tokenizer.json"));
});
