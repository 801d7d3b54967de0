/** Tiny runs in a temporary folder. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { stringify } from "yaml";
import { parseRecipe } from "../../src/recipe/parse.ts";
import type { Recipe } from "../../src/recipe/schema.ts";
import type { MetricsRecord, Reporter } from "../../src/report.ts";
import { type TrainOptions, trainRun } from "../../src/train/run.ts";

/** A temporary folder that is removed after the test (or, outside of tests, by its caller). */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tokenwise-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export const init = {
  architecture: "llama",
  width: 16,
  layers: 2,
  heads: 2,
  feedForwardWidth: 24,
  contextLength: 64,
  standardDeviation: 0.1,
} as const;

/** Pairs of different lengths; `good` answers are alike, and so are `bad` ones. */
export function pairRecords(count: number, prefix = "Say "): { prompt: string; chosen: string; rejected: string }[] {
  return Array.from({ length: count }, (_, index) => ({
    prompt: `${prefix}${index}:`,
    chosen: ` yes${"!".repeat(index % 5)}`,
    rejected: ` no${"?".repeat((index * 3) % 7)}`,
  }));
}

export async function writeJsonLines(file: string, records: readonly unknown[]): Promise<string> {
  await writeFile(file, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  return file;
}

/** Settings of a recipe as a file would have them. */
export type Settings = Readonly<Record<string, unknown>>;

/**
 * A recipe for a tiny run of supervised training on `<folder>/pairs.jsonl`, with changes; a null
 * takes a key out.
 */
export function tinyRecipe(folder: string, changes: Settings = {}): string {
  const settings: Settings = {
    init,
    tokenizer: "bytes",
    output: join(folder, "run"),
    data: { train: join(folder, "pairs.jsonl") },
    objective: { name: "sft" },
    learningRate: 0.01,
    batchSize: 4,
    steps: 4,
    threads: 2,
    ...changes,
  };
  if (settings.model) return stringify(withoutNulls({ ...settings, init: null, tokenizer: changes.tokenizer ?? null }));
  return stringify(withoutNulls(settings));
}

function withoutNulls(settings: Settings): Settings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null));
}

/**
 * A new folder with a dozen pairs, three of them held out, and a run of supervised training on them
 * that other runs start from.
 */
export async function folderWithBase(): Promise<{ folder: string; base: string; data: Settings }> {
  const folder = await temporaryFolder();
  const train = await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(12));
  const base = join(folder, "base");
  await trainTiny(folder, { output: base, steps: 10, data: { train } });
  return { folder, base, data: { train, heldOut: 3 } };
}

/** What a run says, kept. */
export function recordingReporter() {
  const heard = { notes: [] as string[], warnings: [] as string[], records: [] as MetricsRecord[] };
  const reporter: Reporter = {
    progress() {},
    note: (message) => heard.notes.push(message),
    warn: (message) => heard.warnings.push(message),
    record: (record) => heard.records.push(record),
  };
  return { ...heard, reporter };
}

/** Runs a tiny recipe. */
export async function trainTiny(folder: string, changes: Settings = {}, options: TrainOptions = {}) {
  const recipe: Recipe = parseRecipe(tinyRecipe(folder, changes), "recipe.yaml");
  const heard = recordingReporter();
  const result = await trainRun(recipe, { reporter: heard.reporter, ...options });
  return { recipe, result, ...heard, metrics: await readMetrics(recipe.output) };
}

export async function readMetrics(run: string): Promise<MetricsRecord[]> {
  const file = join(run, "metrics.jsonl");
  if (!existsSync(file)) return [];
  const lines = (await readFile(file, "utf8")).split("\n");
  if (lines.pop() !== "") throw new Error("metrics.jsonl does not end with a line break");
  return lines.map((line) => JSON.parse(line) as MetricsRecord);
}

/** Records without what depends on the clock and the machine. */
export function timeless(records: readonly MetricsRecord[]): MetricsRecord[] {
  const timing = ["seconds", "examples_per_second", "tokens_per_second", "peak_memory_mib"];
  return records.map(
    (record) => Object.fromEntries(Object.entries(record).filter(([key]) => !timing.includes(key))) as never,
  );
}

/** A hash of every file below a folder, by path. */
export async function hashes(folder: string): Promise<Record<string, string>> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const entries = files.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    return [
      path.slice(folder.length + 1),
      createHash("sha256")
        .update(await readFile(path))
        .digest("hex"),
    ] as const;
  });
  return Object.fromEntries((await Promise.all(entries)).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** All weights of a model folder's safetensors file, as its hash. */
export async function weightsHash(model: string): Promise<string> {
  return (await hashes(model))["model.safetensors"]!;
}
