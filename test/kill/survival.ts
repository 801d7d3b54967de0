/**
 * Runs that are killed over and over, continued as their messages say, and compared with one that
 * was left alone.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Random } from "../../src/random.ts";
import {
  hashes,
  pairRecords,
  readMetrics,
  type Settings,
  timeless,
  tinyRecipe,
  trainTiny,
  writeJsonLines,
} from "../helpers/runs.ts";
import type { Death } from "./life.ts";

/**
 * What is killed: all of a model with a reference, and an adapter behind an estimation of its
 * weights.
 */
const kinds: readonly Settings[] = [
  { objective: { name: "tdpo2" } },
  {
    objective: { name: "tis-dpo" },
    weights: { from: "prompts", positive: "+{prompt}", negative: "-{prompt}" },
    lora: { rank: 2, alpha: 4 },
  },
];

/** What a run left, as far as it does not depend on the clock. */
interface Remains {
  readonly model: Record<string, string>;
  readonly metrics: readonly object[];
  readonly names: readonly string[];
}

/** What became of a process. */
type End = { calls: number; milliseconds: number } | { refused: string } | "killed";

const life = fileURLToPath(new URL("life.ts", import.meta.url));

/**
 * Kills tiny runs `kills` times in turn, half of them at calls that change files and half at any
 * time.
 *
 * @param options.folder an empty one, to work in
 * @param options.report told of each kill
 * @returns how many processes were killed, and how many runs got to their end
 * @throws Error where a run does not end as the one that was left alone, or cannot be continued as
 * its message says.
 */
export async function survive(
  kills: number,
  { folder, seed, report }: { folder: string; seed: number; report?: (line: string) => void },
): Promise<{ killed: number; finished: number }> {
  const random = Random.from(seed, "kills");
  const data = { train: await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(10)), heldOut: 3 };
  const base = join(folder, "base");
  await trainTiny(folder, { output: base, steps: 2, data: { train: data.train } });
  let killed = 0;
  let finished = 0;
  for (const [index, kind] of kinds.entries()) {
    const share = Math.floor((kills + index) / kinds.length);
    const changes = { model: base, data, threads: 1, steps: 5, checkpoints: { everySteps: 1 }, ...kind };
    const whole = await Life.of(join(folder, `whole-${index}`), changes, folder);
    const unharmed = await whole.live({}, "never");
    if (typeof unharmed === "string" || "refused" in unharmed)
      throw new Error(`a run alone: ${JSON.stringify(unharmed)}`);
    const expected = await whole.remains();
    for (let own = 0; own < share; finished++) {
      const run = await Life.of(join(folder, `killed-${index}`), changes, folder);
      let end: End = "killed";
      for (let first = true; end === "killed"; first = false) {
        const death = own < share ? deathOf(unharmed, own, random) : "never";
        end = await run.continued(first, death);
        if (end !== "killed") break;
        own++;
        killed++;
        report?.(`kill ${killed} of ${kills}, ${JSON.stringify(death)}: ${run.state()}`);
      }
      compare(await run.remains(), expected);
      await run.remove();
    }
  }
  return { killed, finished };
}

/** A moment in the life of a run that is left alone; a continued one may end before. */
function deathOf(
  { calls, milliseconds }: { calls: number; milliseconds: number },
  kill: number,
  random: Random,
): Death {
  if (kill % 2 === 1) return { milliseconds: random.next() * milliseconds };
  return { call: 1 + random.integer(calls), when: random.integer(2) === 0 ? "before" : "after" };
}

/** A run and the processes that work on it. */
class Life {
  readonly #output: string;
  readonly #recipe: string;

  private constructor(output: string, recipe: string) {
    this.#output = output;
    this.#recipe = recipe;
  }

  static async of(output: string, changes: Settings, folder: string): Promise<Life> {
    const recipe = `${output}.yaml`;
    await writeFile(recipe, tinyRecipe(folder, { ...changes, output }));
    return new Life(output, recipe);
  }

  /** Begins the run, or continues it as the refusals say. */
  async continued(isFirst: boolean, death: Death): Promise<End> {
    let options: object = isFirst ? {} : { resume: true };
    for (let refusals = 0; ; refusals++) {
      const end = await this.live(options, death);
      if (typeof end === "string" || !("refused" in end)) return end;
      const next = end.refused.includes("with `overwrite` instead of `resume`")
        ? { overwrite: true }
        : end.refused.includes("start it without `resume`")
          ? {}
          : undefined;
      if (!next || refusals > 1) throw new Error(`${JSON.stringify(options)} was refused: ${end.refused}`);
      options = next;
    }
  }

  async live(options: object, death: Death): Promise<End> {
    const args = ["--import", "tsx", life, this.#recipe, JSON.stringify(options), JSON.stringify(death)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    let wrong = "";
    child.stdout.on("data", (piece: Buffer) => {
      said += piece;
    });
    child.stderr.on("data", (piece: Buffer) => {
      wrong += piece;
    });
    const [code, signal] = (await once(child, "close")) as [number | null, string | null];
    if (signal === "SIGKILL") return "killed";
    if (code !== 0 || said === "") throw new Error(`the run ended with ${signal ?? code}: ${wrong}`);
    return JSON.parse(said) as End;
  }

  async remains(): Promise<Remains> {
    const names = await readdir(this.#output, { recursive: true });
    const model = await hashes(join(this.#output, "model"));
    // A path in the adapter's configuration is the same for all of them.
    return { model, metrics: timeless(await readMetrics(this.#output)), names: names.sort() };
  }

  /** Which parts of the run there are. */
  state(): string {
    const parts = ["recipe.yaml", "metrics.jsonl", "checkpoints", "contrastive", "model"];
    return parts.filter((name) => existsSync(join(this.#output, name))).join(", ") || `no ${basename(this.#output)}`;
  }

  remove(): Promise<void> {
    return rm(this.#output, { recursive: true });
  }
}

function compare(found: Remains, expected: Remains): void {
  for (const part of ["model", "metrics", "names"] as const) {
    const [is, should] = [found[part], expected[part]].map((value) => JSON.stringify(value, undefined, 1));
    if (is !== should) throw new Error(`a killed run has other ${part}: ${is} instead of ${should}`);
  }
}
