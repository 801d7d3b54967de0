import { attentionMask, type PackedBatch } from "../data/batch.ts";
import type { Engine, FloatValue } from "../engine/engine.ts";
import type { Architecture } from "./architecture.ts";
import { rotaryTables } from "./rotary.ts";

/** The tables that depend on the batch alone and serve every layer, pass and model of an architecture. */
export interface Tables {
  readonly cos: FloatValue;
  readonly sin: FloatValue;
  /** Of each row; equal rows share one. */
  readonly masks: readonly FloatValue[];
  /** The tokens whose hidden states are scored. */
  readonly sources: Int32Array;
}

/** The tables of the batch that is computed, made once and kept until another batch comes. */
export class BatchTables {
  readonly #engine: Engine;
  readonly #architecture: Architecture;
  #last: { batch: PackedBatch; tables: Tables } | undefined;

  constructor(engine: Engine, architecture: Architecture) {
    this.#engine = engine;
    this.#architecture = architecture;
  }

  of(batch: PackedBatch): Tables {
    if (this.#last?.batch === batch) return this.#last.tables;
    this.forget();
    const tables = makeTables(this.#engine, this.#architecture, batch);
    this.#last = { batch, tables };
    return tables;
  }

  /** Gives back the tables of the last batch. */
  forget(): void {
    const old = this.#last?.tables;
    if (old) for (const value of [old.cos, old.sin, ...new Set(old.masks)]) this.#engine.release(value);
    this.#last = undefined;
  }
}

function makeTables(engine: Engine, architecture: Architecture, batch: PackedBatch): Tables {
  const shared = new Map<string, FloatValue>();
  const masks = batch.rows.map((row) => {
    const key = [row.promptLength, ...row.responseLengths].join(" ");
    const mask = shared.get(key) ?? engine.allocate([row.length, row.length]);
    if (!shared.has(key)) mask.data.set(attentionMask(row));
    shared.set(key, mask);
    return mask;
  });
  const sources = Int32Array.from(batch.entries, (entry) => entry.source);
  return { ...rotaryTables(engine, architecture, batch.positions), masks, sources };
}
