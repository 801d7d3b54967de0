import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../files/file-system.ts";
import type { Pole } from "./poles.ts";

/** The inputs of a stage, by name, so that a difference can be told. */
export type StageInputs = Readonly<Record<string, string>>;

const inputs = z.record(z.string(), z.string());
const stages = z.object({ positive: inputs, negative: inputs }).partial();

/** `stages.json`: for each contrastive model the inputs that its run was begun with. */
export class StageRecord {
  readonly #file: string;

  constructor(folder: string) {
    this.#file = join(folder, "stages.json");
  }

  /** A record that is damaged holds nothing, which only costs the work again. */
  async read(): Promise<z.output<typeof stages>> {
    if (!existsSync(this.#file)) return {};
    try {
      return stages.parse(JSON.parse(await readFile(this.#file, "utf8")));
    } catch {
      return {};
    }
  }

  async write(pole: Pole, stage: StageInputs): Promise<void> {
    await writeFileAtomic(this.#file, `${JSON.stringify({ ...(await this.read()), [pole]: stage }, null, 2)}\n`);
  }
}

/** The name of the first input that differs; undefined if all are the same. */
export function firstDifference(before: StageInputs, now: StageInputs): string | undefined {
  return [...new Set([...Object.keys(now), ...Object.keys(before)])].find((name) => before[name] !== now[name]);
}
