import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { float64Engine } from "../engine/float64.ts";
import { newLlama } from "../families/new-llama.ts";
import { architectureOf } from "../families/registry.ts";
import { parameterShapes } from "../models/architecture.ts";
import { openModelFolder } from "./folder.ts";
import { loadLanguageModel } from "./load-model.ts";
import { mergeAdapter } from "./merge-adapter.ts";
import { type NamedTensor, writeSafetensors } from "./safetensors.ts";
import { formatConfiguration, saveModelFolder } from "./save-folder.ts";
import { numbersFor, tinyConfiguration, writeTinyAdapter } from "./testing/tiny-adapter.ts";

const tied = newLlama({
  width: 8,
  layers: 2,
  heads: 2,
  feedForwardWidth: 12,
  vocabularySize: 10,
  contextLength: 32,
  tiedEmbeddings: true,
});
const [embedding, head] = ["model.embed_tokens.weight", "lm_head.weight"];
/** Numbers that bfloat16 holds; the head differs from the embedding. */
const untiedParameters = numbersFor(parameterShapes(architectureOf({ ...tied, tiedEmbeddings: false })));

let path: string;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "model-"));
});
afterEach(() => rm(path, { recursive: true }));

/** Writes the tied configuration beside tensors of other names or content. */
async function writeModel(
  change: (tensors: Map<string, NamedTensor>) => void,
  { raw = tied.raw, shards = 1 } = {},
): Promise<void> {
  const shapes = parameterShapes(architectureOf({ ...tied, tiedEmbeddings: false }));
  const tensors = new Map(
    Array.from(untiedParameters, ([name, data]) => [name, { name, shape: shapes.get(name)!, data }]),
  ) as Map<string, NamedTensor>;
  change(tensors);
  const all = [...tensors.values()];
  const map: Record<string, string> = {};
  for (let shard = 0; shard < shards; shard++) {
    const file = shards === 1 ? "model.safetensors" : `part-${shard}.safetensors`;
    const own = all.filter((_, index) => index % shards === shard);
    for (const { name } of own) map[name] = file;
    await writeSafetensors(join(path, file), own);
  }
  if (shards > 1) await writeFile(join(path, "model.safetensors.index.json"), JSON.stringify({ weight_map: map }));
  await writeFile(join(path, "config.json"), formatConfiguration(raw, "float32"));
}

const renamed = (rename: (name: string) => string) => (tensors: Map<string, NamedTensor>) => {
  for (const [name, tensor] of tensors) tensors.set(name, { ...tensor, name: rename(name) });
};

describe("a tied configuration", () => {
  test.each([1, 3])("beside another head: the stored head counts, in %d files", async (shards) => {
    await writeModel(() => {}, { shards });
    const folder = await openModelFolder(path);
    const place = shards === 1 ? join(path, "model.safetensors") : path;
    expect(folder.notes).toEqual([
      `${place}: its lm_head.weight differs from model.embed_tokens.weight, although config.json says that they are one (tie_word_embeddings); the stored head is used`,
    ]);
    expect(folder.configuration.tiedEmbeddings).toBe(false);
    expect(await folder.read(head)).toEqual(untiedParameters.get(head));
    const { transformer, parameters } = await loadLanguageModel(float64Engine(), folder);
    expect(transformer.architecture.head).toBe(head);
    expect([...parameters.get(head)!.data]).toEqual([...untiedParameters.get(head)!]);
  });

  test("is mended when the model is saved", async () => {
    await writeModel(() => {});
    const { configuration } = await openModelFolder(path);
    await saveModelFolder(join(path, "saved"), { configuration, parameters: untiedParameters });
    const again = await openModelFolder(join(path, "saved"));
    expect(again.notes).toEqual([]);
    expect(again.configuration.raw.tie_word_embeddings).toBe(false);
    expect(await again.read(head)).toEqual(untiedParameters.get(head));
  });

  test.each(["float32", "int4"])(
    "an adapter on it, its base %s, has the stored head, and so has its merge",
    async (kept) => {
      await saveModelFolder(path, {
        configuration: tinyConfiguration,
        parameters: numbersFor(parameterShapes(architectureOf(tinyConfiguration))),
      });
      const raw = { ...tinyConfiguration.raw, tie_word_embeddings: true };
      await writeFile(join(path, "config.json"), formatConfiguration(raw, "float32"));
      const adapter = await writeTinyAdapter(join(path, "adapter"), path);
      const folder = await openModelFolder(adapter);
      expect(folder.notes).toHaveLength(1);
      const expected = numbersFor(parameterShapes(architectureOf(tinyConfiguration))).get(head)!;
      const base = kept === "int4" ? "int4" : "stored";
      const model = await loadLanguageModel(float64Engine(), folder, { base });
      expect([...model.parameters.get(model.transformer.architecture.head)!.data]).toEqual([...expected]);
      expect(await mergeAdapter(folder).get(head)!()).toEqual(expected);
    },
  );

  test.each(["float32", "bfloat16"] as const)("beside an equal head in %s is as without it", async (dtype) => {
    const shapes = parameterShapes(architectureOf(tied));
    const own = Array.from(shapes, ([name, shape]) => ({ name, shape, data: untiedParameters.get(name)! }));
    await writeSafetensors(join(path, "own.safetensors"), own);
    const again = { name: head, shape: shapes.get(embedding)!, data: untiedParameters.get(embedding)! };
    await writeSafetensors(join(path, "head.safetensors"), [again], { dtype });
    const files = Object.fromEntries([...own.map(({ name }) => [name, "own.safetensors"]), [head, "head.safetensors"]]);
    await writeFile(join(path, "model.safetensors.index.json"), JSON.stringify({ weight_map: files }));
    await writeFile(join(path, "config.json"), formatConfiguration(tied.raw, "float32"));
    const folder = await openModelFolder(path);
    expect(folder.notes).toEqual([]);
    expect(folder.configuration.tiedEmbeddings).toBe(true);
    expect(folder.parameters.has(head)).toBe(false);
    expect(() => folder.read(head)).toThrow("has no parameter lm_head.weight");
  });

  test("over a file that holds the matrix as the head only", async () => {
    await writeModel((tensors) => tensors.delete(embedding));
    const folder = await openModelFolder(path);
    expect(folder.configuration.tiedEmbeddings).toBe(true);
    expect(await folder.read(embedding)).toEqual(untiedParameters.get(head));
  });
});

describe("names", () => {
  const bare = (name: string) => name.replace(/^model\./, "");
  test.each<[string, (name: string) => string]>([
    ["of torch.compile", (name) => `_orig_mod.${name}`],
    ["of DataParallel around torch.compile", (name) => `module._orig_mod.${name}`],
    ["of blocks that were compiled one by one", (name) => name.replace(/(layers\.\d+)/, "$1._orig_mod")],
    [
      "of FSDP with activation checkpointing",
      (name) => name.replace(/(layers\.\d+)/, "$1._fsdp_wrapped_module._checkpoint_wrapped_module"),
    ],
    ["of the base model alone", bare],
    ["of the base model alone, wrapped", (name) => `module.${bare(name)}`],
    ["with the base model's prefix on all", (name) => `model.${name}`],
  ])("%s are understood", async (_, rename) => {
    await writeModel((tensors) => {
      tensors.delete(head);
      renamed(rename)(tensors);
    });
    const folder = await openModelFolder(path);
    for (const name of parameterShapes(architectureOf(tied)).keys())
      expect(await folder.read(name)).toEqual(untiedParameters.get(name));
  });

  test("that mean one parameter twice are refused", async () => {
    await writeModel((tensors) => {
      const norm = tensors.get("model.norm.weight")!;
      tensors.set("norm.weight", { ...norm, name: "norm.weight" });
    });
    await expect(openModelFolder(path)).rejects.toThrow(
      /model.safetensors: \S*norm.weight: is stored twice: also as \S*norm.weight/,
    );
  });
});

test.each([
  [{ num_hidden_layers: 1e9 }, "num_hidden_layers: must be at most 10000, found 1000000000"],
  [{ num_hidden_layers: 1e4 }, "num_hidden_layers: is 10,000, but"],
  [{ hidden_size: 2e9, num_attention_heads: 1e9 }, "must be floats [10, 2000000000], found F32 [10, 8]"],
  [{ vocab_size: 1e15 }, "must be floats [1000000000000000, 8], found F32 [10, 8]"],
  [{ head_dim: 2e9 }, "self_attn.q_proj.weight must be floats [4000000000, 8]"],
])("sizes beyond what the file holds are refused at once: %j", async (sizes, message) => {
  await writeModel(() => {}, { raw: { ...tied.raw, ...sizes } });
  const start = performance.now();
  await expect(openModelFolder(path)).rejects.toThrow(message);
  expect(performance.now() - start).toBeLessThan(1000);
});
