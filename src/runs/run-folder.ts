import { existsSync } from "node:fs";
import { appendFile, mkdir, readFile, realpath } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { stringify } from "yaml";
import { UserError } from "../errors.ts";
import {
  asUserError,
  bytesBelow,
  checkWritable,
  isFolder,
  removeAtomic,
  writeFileAtomic,
} from "../files/file-system.ts";
import { isLeftover, tidyLeftovers } from "../files/leftovers.ts";
import { withLock } from "../files/lock.ts";
import { listFolder } from "../files/system-files.ts";
import { oneLine } from "../one-line.ts";
import { parseRecipe } from "../recipe/parse.ts";
import { keysWithRole, type Recipe } from "../recipe/schema.ts";
import type { MetricsRecord } from "../report.ts";
import type { Beginning } from "../step/diverging.ts";
import type { Metrics } from "../step/metrics.ts";
import { modelPath, openModelFolder } from "../storage/folder.ts";
import { listCheckpoints } from "./checkpoint.ts";

/** Answers to a held-out prompt at one evaluation: a line of samples.jsonl. */
export interface SamplesRecord {
  /** Optimizer steps done. */
  readonly step: number;
  readonly prompt: string;
  readonly policy: readonly string[];
  /** Missing where there is no reference. */
  readonly reference?: readonly string[];
}

/** The folder of a run that belongs to its weights, made before the run begins. */
export const contrastiveFolderName = "contrastive";

/** The file in a run's folder that says which process uses it. */
export const lockName = "tokenwise.lock";

/** The keys that may change between a run and its resumption without making it another run. */
const changeable = new Set(keysWithRole("length", "machine"));

/**
 * A run's folder: `recipe.yaml` (all settings, defaults included), `metrics.jsonl`, `samples.jsonl`
 * if asked for, `checkpoints/`, and in the end `model/`.
 */
export class RunFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get model(): string {
    return join(this.path, "model");
  }

  get checkpoints(): string {
    return join(this.path, "checkpoints");
  }

  get referenceCache(): string {
    return join(this.path, "reference-states.bin");
  }

  get #recipe(): string {
    return join(this.path, "recipe.yaml");
  }

  get #metrics(): string {
    return join(this.path, "metrics.jsonl");
  }

  get #samples(): string {
    return join(this.path, "samples.jsonl");
  }

  /**
   * Does work while no other process may use the folder. First clears it of what killed processes
   * left.
   *
   * @throws UserError if another process uses it, or it cannot be made.
   */
  async whileLocked<Result>(work: () => Promise<Result>): Promise<Result> {
    await checkWritable(this.path, "cannot make the run's folder");
    return withLock([join(this.path, lockName), this.path], async () => {
      for (const folder of [this.path, this.checkpoints]) {
        if (await isFolder(folder)) await tidyLeftovers(folder, { alone: true });
      }
      return work();
    });
  }

  /** @throws UserError when the folder already holds something, or cannot be made. */
  async checkNew(): Promise<void> {
    if (!(await isFolder(this.path)) || (await this.#entries()).length === 0) {
      // Better refused now than after an hour of preparing data.
      return checkWritable(this.path, "cannot make the run's folder");
    }
    const place = { file: this.path };
    if (!existsSync(this.#recipe)) throw new UserError("is not empty", { ...place, hint: "choose another `output`" });
    if (existsSync(this.model) || (await listCheckpoints(this.checkpoints)).length > 0) {
      const hint = "continue it with `resume`, replace it with `overwrite`, or choose another `output`";
      throw new UserError("already holds a run", { ...place, hint });
    }
    const hint = "start it again with `overwrite`, or choose another `output`";
    throw new UserError("holds a run that ended before its first checkpoint", { ...place, hint });
  }

  /**
   * Checks that the folder holds nothing but an earlier run, and nothing that the new run needs.
   *
   * @throws UserError otherwise.
   */
  async checkOverwritable({ model, reference, tokenizer, weights }: Recipe): Promise<void> {
    if (!existsSync(this.#recipe)) return this.checkNew();
    const contrast = weights?.from === "models" ? [weights.positive, weights.negative] : [];
    const estimates = weights && "file" in weights ? weights.file : undefined;
    const models = [model, reference, ...contrast].filter((path) => path !== undefined);
    const bases = (await Promise.all(models.map(baseOf))).flat();
    for (const path of [...models, ...bases, tokenizer, estimates]) {
      if (!path || !(await this.#losesInOverwriting(path))) continue;
      const what = bases.includes(path) ? `${path}, the base of an adapter` : path;
      throw new UserError(`the run needs ${what}, which overwriting would delete`, { file: this.path });
    }
  }

  /**
   * True if a path, followed to where it leads, is in the part of the folder that `remove` removes.
   */
  async #losesInOverwriting(path: string): Promise<boolean> {
    const [folder, followed] = await Promise.all(
      [this.path, path].map((link) => realpath(link).catch(() => resolve(link))),
    );
    return !/^(\.\.|contrastive)([\\/]|$)/.test(relative(folder!, followed!));
  }

  /** Removes the run, but not the contrastive models, which serve the next one as well. */
  async remove(): Promise<void> {
    if (!(await isFolder(this.path))) return;
    // While the recipe is there, a removal that was cut short can be done again.
    const last = basename(this.#recipe);
    const entries = (await this.#entries()).sort((a, b) => Number(a === last) - Number(b === last));
    for (const entry of entries) await removeAtomic(join(this.path, entry));
  }

  /** Bytes that `remove` would free. */
  async bytes(): Promise<number> {
    if (!(await isFolder(this.path))) return 0;
    const sizes = (await this.#entries()).map((entry) => bytesBelow(join(this.path, entry)));
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  }

  /** The entries of the folder that belong to the run itself. */
  async #entries(): Promise<string[]> {
    const others = [contrastiveFolderName, lockName];
    return (await listFolder(this.path)).filter((entry) => !others.includes(entry) && !isLeftover(entry));
  }

  /**
   * Checks that the folder's run was begun with this recipe.
   *
   * @throws UserError when there is no run, or a setting differs that would make it another run.
   */
  async checkSame(recipe: Recipe): Promise<void> {
    if (!existsSync(this.#recipe)) {
      const hint = "start it without `resume`";
      throw new UserError("there is no run to resume", { file: this.path, hint });
    }
    const text = await readFile(this.#recipe, "utf8").catch((error) => {
      throw asUserError(error, this.#recipe, "cannot read the run's recipe");
    });
    const [before, now] = [settings(parseRecipe(text, this.#recipe)), settings(recipe)];
    for (const field of new Set([...before.keys(), ...now.keys()])) {
      if (before.get(field) === now.get(field)) continue;
      throw new UserError(`the run began with ${before.get(field) ?? "nothing"}, not ${now.get(field) ?? "nothing"}`, {
        file: this.#recipe,
        field,
        hint: "resume with the same recipe, or start a new run with another `output`",
      });
    }
  }

  /**
   * Writes the resolved recipe.
   *
   * @param objective the name of an objective that a program gave in place of the recipe's
   */
  async writeRecipe(recipe: Recipe, objective?: string): Promise<void> {
    await mkdir(this.path, { recursive: true }).catch((error) => {
      throw asUserError(error, this.path, "cannot make the run's folder");
    });
    const comments = [
      "# All settings of this run, defaults included.",
      ...(objective === undefined
        ? []
        : [`# Its objective is not the one below: a program gave ${oneLine(objective)}.`]),
    ];
    const settings = stringify(JSON.parse(JSON.stringify(recipe)));
    await writeFileAtomic(this.#recipe, `${comments.join("\n")}\n${settings}`);
  }

  appendMetrics(record: MetricsRecord): Promise<void> {
    return appendRecords(this.#metrics, [record]);
  }

  appendSamples(records: readonly SamplesRecord[]): Promise<void> {
    return appendRecords(this.#samples, records);
  }

  /**
   * Drops the records of steps behind a checkpoint, which a resumed run does again.
   *
   * @returns whether an evaluation at the checkpoint's step is among the records that stay, and
   * what the run began with
   */
  async rewindMetrics(step: number): Promise<{ evaluated: boolean; beginning: Beginning }> {
    const kept = await keepRecords<MetricsRecord>(this.#metrics, (record) => record.step <= step);
    const evaluated = kept.some((record) => record.split === "evaluation" && record.step === step);
    // Samples are written before their evaluation is on record.
    await keepRecords<SamplesRecord>(
      this.#samples,
      (record) => record.step < step || (evaluated && record.step === step),
    );
    const first = kept.find((record) => record.split === "train");
    const start = kept.find((record) => record.split === "evaluation" && record.step === 0);
    const beginning = { ...(first && { loss: Number(first.loss) }), ...(start && { evaluation: metricsOf(start) }) };
    return { evaluated, beginning };
  }
}

/**
 * The folder of the model below an adapter; none for a whole model, or for one that cannot be
 * opened, which shows elsewhere.
 */
async function baseOf(path: string): Promise<string[]> {
  const folder = await openModelFolder(modelPath(path)).catch(() => undefined);
  return folder?.base ? [folder.base.path] : [];
}

async function appendRecords(file: string, records: readonly object[]): Promise<void> {
  await appendFile(file, linesOf(records)).catch((error) => {
    throw asUserError(error, file, "cannot write");
  });
}

/**
 * Drops the records of a file that are not to be kept. Returns the others; none where there is no
 * file.
 */
async function keepRecords<Item extends object>(file: string, isKept: (record: Item) => boolean): Promise<Item[]> {
  if (!existsSync(file)) return [];
  const kept = (await readFile(file, "utf8"))
    .split("\n")
    .flatMap(parseRecord<Item>)
    .filter(isKept);
  await writeFileAtomic(file, linesOf(kept));
  return kept;
}

function linesOf(records: readonly object[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}

/** The record in a line; a line cut off by a crash holds none. */
function parseRecord<Item>(line: string): Item[] {
  try {
    return [JSON.parse(line) as Item];
  } catch {
    return [];
  }
}

function metricsOf(record: MetricsRecord): Metrics {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => typeof value === "number")) as Metrics;
}

/** The settings that make a run what it is, by dotted key, as JSON. */
function settings(recipe: Recipe): Map<string, string> {
  const flatten = (value: unknown, key: string): [string, string][] =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value).flatMap(([name, below]) => flatten(below, key ? `${key}.${name}` : name))
      : [[key, JSON.stringify(value)]];
  const fixed = Object.entries(recipe).filter(
    ([key, value]) => value !== undefined && !changeable.has(key as keyof Recipe),
  );
  return new Map(flatten(JSON.parse(JSON.stringify(Object.fromEntries(fixed))), ""));
}
