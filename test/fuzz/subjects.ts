/**
 * The readers that are tried, each with a good input, and what must hold where it reads a changed
 * one.
 */
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { readRowGroups, UnreadableParquet } from "../../src/data/files/parquet-groups.ts";
import { readPairs } from "../../src/data/forms/pairs.ts";
import { readTexts } from "../../src/data/forms/text.ts";
import { loadTokenizer } from "../../src/data/tokens/load-tokenizer.ts";
import { hostMemory } from "../../src/engine/host-memory.ts";
import { UserError } from "../../src/errors.ts";
import { readPrompts } from "../../src/generate/prompts.ts";
import { writeByteModel } from "../../src/generate/testing/byte-model.ts";
import { openEstimates, readEstimates } from "../../src/importance/estimates-file.ts";
import { responseEstimate, writeEstimates } from "../../src/importance/testing/estimates.ts";
import { readRecipe } from "../../src/recipe/parse.ts";
import { readProgress, restoreOptimizer } from "../../src/runs/checkpoint.ts";
import type { Optimizer } from "../../src/step/optimizer.ts";
import { openModelFolder } from "../../src/storage/folder.ts";
import { openSafetensors, readTensor, writeSafetensors } from "../../src/storage/safetensors.ts";

export interface Subject {
  readonly name: string;
  /** Makes a good input in an empty folder. */
  make(folder: string): Promise<void>;
  /** The files that are changed, one in each case. */
  readonly targets: readonly string[];
  /**
   * Reads the input.
   *
   * @returns what is wrong with the result, if anything is
   * @throws UserError for an input that is refused
   */
  read(folder: string): Promise<string | undefined>;
}

const pairs = Array.from({ length: 20 }, (_, index) => ({
  prompt: `question ${index}`,
  chosen: ` good ${"z".repeat(index)}`,
  rejected: ` bad ${index} ü😀`,
}));
const jsonLines = pairs.map((pair) => JSON.stringify(pair)).join("\n");

const golden = (path: string) => fileURLToPath(new URL(`../golden/architectures/${path}`, import.meta.url));

/** A subject that is one file. */
function file(
  name: string,
  content: () => string | Uint8Array,
  read: (path: string) => Promise<string | undefined>,
): Subject {
  return {
    name,
    targets: [name],
    make: (folder) => writeFile(join(folder, name), content()),
    read: (folder) => read(join(folder, name)),
  };
}

/** Records are used or counted: none is lost in silence. */
async function countPairs(path: string): Promise<string | undefined> {
  const found = await readPairs(path, { onBadPair: "skip" });
  const lines = (await readFile(path, "latin1")).split("\n").filter((line) => line.trim() !== "");
  const isLines = lines.slice(0, 2).every((line) => /^\s*\{.*\}\s*$/s.test(line)) && !lines[0]!.includes("\0");
  const counted = found.pairs.length + found.skipped.length;
  return isLines && counted !== lines.length ? `${counted} records of ${lines.length} lines` : undefined;
}

async function readModel(folder: string): Promise<undefined> {
  const model = await openModelFolder(folder);
  for (const name of model.parameters.keys()) await model.read(name);
}

export const subjects: readonly Subject[] = [
  file("pairs.jsonl", () => jsonLines, countPairs),
  file("pairs.json", () => JSON.stringify(pairs, null, 1), countPairs),
  file(
    "pairs.jsonl.gz",
    () => gzipSync(jsonLines),
    async (path) => {
      const found = await readPairs(path);
      const same = JSON.stringify(found.pairs.map(({ place: _, ...pair }) => pair)) === JSON.stringify(pairs);
      return same ? undefined : "what is unpacked is not what was packed";
    },
  ),
  file(
    "utf16.jsonl",
    () => Buffer.from(`\ufeff${jsonLines}`, "utf16le"),
    async (path) => {
      await readPairs(path, { onBadPair: "skip" });
      return undefined;
    },
  ),
  file(
    "texts.json",
    () => JSON.stringify(pairs.map(({ chosen: text }) => ({ text }))),
    async (path) => {
      await readTexts(path);
      return undefined;
    },
  ),
  file(
    "prompts.txt",
    () => pairs.map(({ prompt }) => prompt).join("\r\n"),
    async (path) => {
      await readPrompts(path);
      return undefined;
    },
  ),
  file(
    "pairs.parquet",
    () => {
      const column = (name: keyof (typeof pairs)[number]) => ({ name, data: pairs.map((pair) => pair[name]) });
      const columnData = (["prompt", "chosen", "rejected"] as const).map(column);
      return new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 7 }));
    },
    async (path) => {
      // Without the thread, which takes long to start from sources; where this hangs, the driver
      // tries with it.
      let rows = 0;
      try {
        for await (const batch of readRowGroups(path, ["prompt", "chosen", "rejected"], () => {}))
          rows += batch.rows.length;
      } catch (error) {
        if (!(error instanceof UnreadableParquet)) throw error;
        throw new UserError(error.message, { file: path });
      }
      return rows === pairs.length ? undefined : `${rows} rows of ${pairs.length}`;
    },
  ),
  {
    name: "model folder",
    targets: ["config.json", "model.safetensors"],
    make: async (folder) => {
      for (const name of ["config.json", "model.safetensors"]) await cp(golden(`llama/${name}`), join(folder, name));
    },
    read: readModel,
  },
  {
    name: "model in shards",
    targets: ["model.safetensors.index.json", "model-00001-of-00002.safetensors"],
    make: async (folder) => {
      await cp(golden("llama/config.json"), join(folder, "config.json"));
      const whole = await openSafetensors(golden("llama/model.safetensors"));
      const shards: { name: string; shape: number[]; data: Float32Array }[][] = [[], []];
      const weightMap: Record<string, string> = {};
      for (const [index, [name, { shape }]] of [...whole.tensors].entries()) {
        shards[index % 2]!.push({ name, shape: [...shape], data: await readTensor(whole, name) });
        weightMap[name] = `model-0000${(index % 2) + 1}-of-00002.safetensors`;
      }
      for (const [index, tensors] of shards.entries())
        await writeSafetensors(join(folder, `model-0000${index + 1}-of-00002.safetensors`), tensors);
      const index = { metadata: { total_size: 1 }, weight_map: weightMap };
      await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify(index));
    },
    read: readModel,
  },
  {
    name: "adapter folder",
    targets: ["adapter/adapter_config.json", "adapter/adapter_model.safetensors"],
    make: async (folder) => {
      for (const name of ["config.json", "model.safetensors"]) {
        await mkdir(join(folder, "base"), { recursive: true });
        await cp(golden(`llama/${name}`), join(folder, "base", name));
      }
      await cp(golden("llama/adapter"), join(folder, "adapter"), { recursive: true });
    },
    read: async (folder) => {
      const model = await openModelFolder(join(folder, "adapter"), { base: join(folder, "base") });
      for (const name of model.parameters.keys()) await model.read(name);
      return undefined;
    },
  },
  {
    name: "tokenizer",
    targets: ["model/tokenizer.json", "model/tokenizer_config.json"],
    make: async (folder) => {
      await writeByteModel(join(folder, "model"));
    },
    read: async (folder) => {
      const tokenizer = await loadTokenizer(join(folder, "model"));
      const [ids] = await tokenizer.encode([{ text: "a text", continues: false }]);
      tokenizer.decode(ids!);
      return ids!.some((id) => id < 0 || id >= tokenizer.vocabularySize) ? `ids ${ids}` : undefined;
    },
  },
  {
    name: "estimates",
    targets: ["estimates.safetensors"],
    make: async (folder) => {
      const one = (index: number) => ({
        prompt: Int32Array.of(1, index),
        chosen: responseEstimate([3, 4, 5], [0.5]),
        rejected: responseEstimate([6, index]),
      });
      await writeEstimates(
        join(folder, "estimates.safetensors"),
        Array.from({ length: 5 }, (_, index) => one(index)),
      );
    },
    read: async (folder) => {
      const estimates = await openEstimates(join(folder, "estimates.safetensors"));
      let count = 0;
      for await (const _ of readEstimates(estimates)) count++;
      return count === estimates.pairs ? undefined : `${count} pairs of ${estimates.pairs}`;
    },
  },
  {
    name: "checkpoint",
    targets: ["progress.json", "optimizer.safetensors"],
    make: async (folder) => {
      const progress = { step: 3, examples: 12, position: { epoch: 0, index: 12 }, data: "abc" };
      await writeFile(join(folder, "progress.json"), JSON.stringify(progress, null, 2));
      const tensors = ["m", "v"].map((name) => ({ name, shape: [4, 3], data: new Float32Array(12).fill(0.5) }));
      await writeSafetensors(join(folder, "optimizer.safetensors"), tensors);
    },
    read: async (folder) => {
      const { step } = await readProgress(folder);
      const zeros = () => ({ shape: [4, 3], data: new Float32Array(12) });
      const state = new Map(["m", "v"].map((name) => [name, zeros()]));
      const optimizer = { state, step: 0 };
      await restoreOptimizer(hostMemory, folder, optimizer as unknown as Optimizer, step);
      return undefined;
    },
  },
  file(
    "recipe.yaml",
    () => `model: models/base # a comment
output: runs/one
data: { train: [a.jsonl, b.jsonl], heldOut: 0.1, columns: { prompt: question } }
objective:
  name: tdpo2
  beta: 0.2
learningRate: 5.0e-6
lora: { rank: 4, targetModules: [q_proj] }
epochs: 2
memory: 2GB
`,
    async (path) => {
      await readRecipe(path);
      return undefined;
    },
  ),
];
