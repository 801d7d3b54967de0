import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { newLlama } from "../src/families/new-llama.ts";
import { writeTextBatch } from "./batch.ts";
import { findPython, type Machine, machine, versions } from "./machine.ts";
import {
  type Measurement,
  measureGeneration,
  measureJavaScript,
  measureLoading,
  measureOptimizer,
  measureScoring,
  measureStep,
  measureTokenization,
  measureTrl,
  type Subject,
} from "./measurements.ts";
import { saveRandomModel } from "./random-model.ts";
import { markdownTable } from "./report.ts";

interface SuiteOptions {
  model?: string;
  batch?: string;
  repeats: number;
  threads: number;
  python?: string;
  javascript: boolean;
  json?: string;
}

/** What `--json` writes. */
interface SuiteReport {
  date: string;
  machine: Machine;
  versions: Record<string, string>;
  model: string;
  threads: number;
  repeats: number;
  results: Measurement[];
}

const demo = fileURLToPath(new URL("../demo", import.meta.url));

/**
 * The model that the suite makes where it is given none: 6.5 million parameters, with the demo's
 * tokenizer.
 */
const smallModel = {
  width: 256,
  layers: 6,
  heads: 8,
  keyValueHeads: 4,
  feedForwardWidth: 688,
  vocabularySize: 4096,
  contextLength: 512,
};

/** Pairs of the demo in its batch. */
const smallPairs = 8;

/** `bench` without a subcommand: everything once, beside the peers that are there. */
export function suiteCommand(): Command {
  return new Command("suite")
    .description(
      "measure step, scoring, generation, tokenization, loading and optimizer beside PyTorch, TRL and jax-js",
    )
    .option("--model <folder>", "float32 model folder; a small random one if absent")
    .option("--batch <file>", "JSON file with pairs of token ids for it")
    .option("--repeats <count>", "timed runs of each, after one that is not; the medians count", Number, 3)
    .option("--threads <count>", "threads", Number, 2)
    .option(
      "--python <command>",
      "a Python with torch and numpy, and with trl and peft where TRL is to be measured; python3 is tried if absent",
    )
    .option("--no-javascript", "leave out jax-js")
    .option("--json <file>", "write machine, versions and results")
    .action(suite);
}

async function suite(options: SuiteOptions): Promise<void> {
  if ((options.model === undefined) !== (options.batch === undefined)) {
    throw new Error("--model and --batch go together: token ids must be of the model's vocabulary");
  }
  const python = findPython(options.python === undefined ? ["python3", "/usr/bin/python3"] : [options.python]);
  if (!python) console.error("no Python with torch and numpy found: PyTorch is left out");
  if (!python?.trl) console.error("no Python with trl and peft found: TRL is left out; --python names one");
  const folder = await mkdtemp(join(tmpdir(), "tokenwise-bench-"));
  try {
    const small = await makeSmall(folder);
    const { model = small.model, batch = small.batch, repeats, threads } = options;
    const tokenizer = existsSync(join(model, "tokenizer.json")) ? model : join(demo, "model");
    const subject: Subject = {
      model,
      batch,
      tokenizer,
      repeats,
      threads,
      python: python?.command,
      trl: python?.trl && python.command,
    };
    const results: Measurement[] = [];
    for (const [name, measure] of Object.entries({
      step: measureStep,
      TRL: measureTrl,
      scoring: measureScoring,
      generation: measureGeneration,
      tokenization: measureTokenization,
      loading: measureLoading,
      optimizer: measureOptimizer,
    })) {
      console.error(`${name} …`);
      results.push(...measure(subject));
    }
    if (options.javascript && hasJax()) {
      console.error("jax-js …");
      results.push(...measureJavaScript({ ...subject, ...small }));
    }
    const report: SuiteReport = {
      date: new Date().toISOString().slice(0, 10),
      machine: machine(),
      versions: { ...versions(), ...(python && { torch: python.torch }), ...(python?.trl && { trl: python.trl }) },
      model: options.model ?? "random, 6.5 million parameters",
      threads,
      repeats,
      results,
    };
    console.log(formatReport(report));
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
    if (results.some(({ check }) => check?.passed === false)) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function makeSmall(folder: string): Promise<{ model: string; batch: string }> {
  const [model, batch] = [join(folder, "model"), join(folder, "batch.json")];
  await saveRandomModel(model, newLlama(smallModel), { tokenizerFrom: join(demo, "model") });
  await writeTextBatch(batch, join(demo, "pairs.jsonl"), model, smallPairs);
  return { model, batch };
}

/** Whether jax-js is installed; it comes with the development dependencies. */
function hasJax(): boolean {
  try {
    import.meta.resolve("@jax-js/jax");
    return true;
  } catch {
    console.error("jax-js is left out; npm install --no-save @jax-js/jax brings it");
    return false;
  }
}

function formatReport({ date, machine, versions, model, threads, repeats, results }: SuiteReport): string {
  const times = (of: Measurement, peer: number | undefined) =>
    peer === undefined ? "" : `${(of.better === "less" ? peer / of.tokenwise : of.tokenwise / peer).toPrecision(2)} ×`;
  const rows = results.map((result) => [
    result.name,
    result.unit,
    String(result.tokenwise),
    String(result.pytorch ?? "–"),
    times(result, result.pytorch),
    String(result.trl ?? "–"),
    times(result, result.trl),
    String(result.trlBfloat16 ?? "–"),
    times(result, result.trlBfloat16),
    String(result.javascript ?? "–"),
    times(result, result.javascript),
    result.check ? `${result.check.text}${result.check.passed ? "" : ": TOO MUCH"}` : "",
  ]);
  const header = [
    "",
    "unit",
    "tokenwise",
    "PyTorch",
    "better by",
    "TRL",
    "better by",
    "TRL bf16",
    "better by",
    "jax-js",
    "better by",
    "check",
  ];
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${Object.entries(versions)
      .map((entry) => entry.join(" "))
      .join(", ")}; ${date}`,
    `Model: ${model}; ${threads} threads, medians of ${repeats}`,
    "",
    markdownTable(header, rows),
  ].join("\n");
}
