import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { UserError } from "../src/errors.ts";
import { parseConfiguration } from "../src/families/registry.ts";
import { readBatch, writeBatchModulo, writeRandomBatch } from "./batch.ts";
import { findPython, machine, versions } from "./machine.ts";
import { publishedShapes } from "./published-shapes.ts";
import { saveRandomModel } from "./random-model.ts";
import { measureCase, type ShapeCase, shapeCases } from "./shape-cases.ts";
import { type ShapeResult, shapesTable } from "./shapes-table.ts";

interface Options {
  output: string;
  only?: string[];
  minutes: number;
  models?: string;
  batch?: string;
  steps: number;
  threads: number;
  python?: string;
  list: boolean;
}

/** Tokens of prompt, chosen and rejected of four pairs of HH-RLHF. */
const hhLengths = [
  [249, 33, 77],
  [222, 78, 41],
  [117, 77, 107],
  [174, 61, 41],
] as const;

/**
 * `bench shapes`: training steps of models in published shapes with random weights, beside TRL. A
 * line of JSON for each case; what is in the file is not measured again.
 */
export function shapesCommand(): Command {
  return new Command("shapes")
    .description("time training steps of models in published shapes, random weights in bfloat16, beside TRL")
    .option(
      "--output <file>",
      "a line of JSON for each case; those that are there are not measured again",
      "shapes.jsonl",
    )
    .option("--only <words...>", "cases that contain all words of one of these, as `smollm2-135m lora-16`")
    .option("--minutes <count>", "begin no case after so many minutes", Number, Number.POSITIVE_INFINITY)
    .option("--models <folder>", "where to keep the models; a temporary folder if absent")
    .option("--batch <file>", "JSON file with pairs of token ids, taken modulo the vocabulary; random ids if absent")
    .option("--steps <count>", "timed steps, after one that is not", Number, 3)
    .option("--threads <count>", "threads", Number, 2)
    .option("--python <command>", "a Python with torch, transformers, trl and peft; without one TRL is left out")
    .option("--list", "print the names of the cases and what the file has", false)
    .action(shapes);
}

async function shapes(options: Options): Promise<void> {
  const done = readResults(options.output);
  const wanted = shapeCases.filter(({ name, shape }) => isWanted(name, shape, options.only));
  if (options.list) {
    for (const { name } of wanted) console.log(`${done.some((one) => isDone(one, name)) ? "done" : "    "}  ${name}`);
    return;
  }
  const python = options.python === undefined ? undefined : findPython([options.python]);
  if (options.python !== undefined && !python?.trl) throw new Error(`${options.python} has no trl, or no torch`);
  if (!python) console.error("TRL is left out: give a Python that has it with --python");
  const rest = wanted.filter(
    ({ name, program }) => !done.some((one) => isDone(one, name)) && (program === "tokenwise" || python),
  );
  const temporary = await mkdtemp(join(tmpdir(), "tokenwise-bench-"));
  const end = performance.now() + options.minutes * 60_000;
  try {
    for (const shape of new Set(rest.map((one) => one.shape))) {
      if (performance.now() > end) break;
      const subject = await prepare(shape, options, temporary);
      if (!subject) continue;
      for (const one of rest.filter((other) => other.shape === shape)) {
        if (performance.now() > end) break;
        console.error(`${one.name} …`);
        const result = measured(one, { ...subject, python: python?.command }, options);
        appendFileSync(options.output, `${JSON.stringify(result)}\n`);
        done.push(result);
        console.error(result.error ?? `  ${result.secondsPerPair!.toPrecision(3)} s a pair, ${result.peakRssMiB} MiB`);
      }
      if (options.models === undefined) await rm(subject.model, { recursive: true });
    }
  } finally {
    await rm(temporary, { recursive: true });
  }
  console.log(describeMachine());
  console.log(shapesTable(done.filter(({ name }) => wanted.some((one) => one.name === name))));
}

/** All but the shape for tries, unless it is asked for. */
function isWanted(name: string, shape: string, only: readonly string[] | undefined): boolean {
  if (!only) return shape !== "tiny";
  return only.some((words) => words.split(" ").every((word) => name.split(" ").includes(word)));
}

/** A case that failed is measured again. */
function isDone(result: ShapeResult, name: string): boolean {
  return result.name === name && result.secondsPerPair !== undefined;
}

function readResults(file: string): ShapeResult[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as ShapeResult);
}

/** Makes a model and a batch for it; undefined for a family that is not supported. */
async function prepare(shape: string, { models, batch: given, steps, threads }: Options, temporary: string) {
  const { config, parameters } = publishedShapes[shape]!;
  const model = join(models ?? temporary, shape);
  try {
    const configuration = parseConfiguration(config, shape);
    if (!existsSync(join(model, "config.json"))) {
      console.error(`making ${shape} …`);
      const count = await saveRandomModel(model, configuration, { dtype: "bfloat16" });
      if (count !== parameters) throw new Error(`${shape} has ${count} parameters, the published one ${parameters}`);
    }
    const batch = join(temporary, `${shape}.json`);
    const { vocabularySize } = configuration;
    if (given === undefined) writeRandomBatch(batch, hhLengths, vocabularySize);
    else writeBatchModulo(batch, given, vocabularySize);
    return { model, batch, pairs: readBatch(batch).length, steps, threads };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    console.error(`${shape} is left out: ${error.message}`);
    return undefined;
  }
}

function measured(
  one: ShapeCase,
  subject: Parameters<typeof measureCase>[1],
  { steps, threads }: Options,
): ShapeResult {
  const { cpu, cores, flags } = machine();
  const where = { steps, threads, date: new Date().toISOString(), machine: { cpu, cores, flags } };
  try {
    const figures = measureCase(one, subject);
    return { ...one, ...figures, ...where, versions: { ...versions(), ...figures.versions } };
  } catch (error) {
    return { ...one, ...where, error: error instanceof Error ? error.message : String(error) };
  }
}

function describeMachine(): string {
  const { cpu, cores, memoryGiB, flags } = machine();
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB; ${flags.join(" ") || "no flags known"}\n`;
}
