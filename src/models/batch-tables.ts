import { attentionMask, type PackedBatch } from "../data/batch.ts";
import { type Engine, type FloatValue, upload } from "../engine/engine.ts";
import { UserError } from "../errors.ts";
import type { Architecture, Layer } from "./architecture.ts";
import { type Rotary, rotaryTables } from "./rotary.ts";

/**
 * The tables of one layer: cosines and sines if it rotates positions, and the mask of each row;
 * equal rows share one.
 */
export interface LayerTables {
  readonly rotary: Readonly<Record<string, FloatValue>>;
  readonly masks: readonly FloatValue[];
}

/**
 * The tables that depend on the batch alone and serve every pass and model of an architecture;
 * layers that are alike share theirs.
 */
interface Tables {
  readonly rotary: ReadonlyMap<Rotary | undefined, LayerTables["rotary"]>;
  readonly masks: ReadonlyMap<number | undefined, LayerTables["masks"]>;
  /** The tokens whose hidden states are scored. */
  readonly sources: Int32Array;
}

/** The tables of the batch that is computed, made once and kept until another batch comes. */
export class BatchTables {
  readonly #engine: Engine;
  readonly #layers: readonly Layer[];
  #last: { batch: PackedBatch; tables: Tables } | undefined;

  constructor(engine: Engine, { layers }: Pick<Architecture, "layers">) {
    this.#engine = engine;
    this.#layers = layers;
  }

  /** The tables of a layer. */
  of(batch: PackedBatch, layer: number): LayerTables {
    const { rotary, masks } = this.#tablesOf(batch);
    const kind = this.#layers[layer]!;
    return { rotary: rotary.get(kind.rotary)!, masks: masks.get(kind.window)! };
  }

  /** The tokens whose hidden states are scored. */
  sources(batch: PackedBatch): Int32Array {
    return this.#tablesOf(batch).sources;
  }

  /** Gives back the tables of the last batch. */
  forget(): void {
    const old = this.#last?.tables;
    if (!old) return;
    for (const tables of old.rotary.values()) for (const value of Object.values(tables)) this.#engine.release(value);
    for (const masks of old.masks.values()) for (const value of new Set(masks)) this.#engine.release(value);
    this.#last = undefined;
  }

  #tablesOf(batch: PackedBatch): Tables {
    if (this.#last?.batch === batch) return this.#last.tables;
    this.forget();
    const tables: Tables = {
      rotary: new Map(
        Array.from(new Set(this.#layers.map(({ rotary }) => rotary)), (rotary) => [
          rotary,
          rotary
            ? rotaryTables(this.#engine, rotary, {
                positions: batch.positions,
                lengths: sequenceLengths(batch, rotary),
              })
            : {},
        ]),
      ),
      masks: new Map(
        Array.from(new Set(this.#layers.map(({ window }) => window)), (window) => [
          window,
          masksOf(this.#engine, batch, window),
        ]),
      ),
      sources: Int32Array.from(batch.entries, ({ source }) => source),
    };
    this.#last = { batch, tables };
    return tables;
  }
}

/**
 * For each token of a batch how many tokens its sequence has. A prompt has the length of its first
 * answer's sequence: what is rotated once must serve all answers.
 *
 * @throws UserError where the lengths of a row's sequences ask for different angles.
 */
function sequenceLengths({ rows, tokens }: PackedBatch, rotary: Rotary): Int32Array {
  const lengths = new Int32Array(tokens.length);
  for (const { start, promptLength, responseLengths } of rows) {
    const ofSequences = responseLengths.map((length) => promptLength + length);
    const first = ofSequences[0] ?? promptLength;
    const other = ofSequences.find((length) => rotary.angleClass(length) !== rotary.angleClass(first));
    if (other !== undefined) {
      throw new UserError(
        `answers to one prompt end after ${first} and ${other} tokens, and the model's rotary positions ` +
          "have other frequencies in a sequence of the one length than of the other",
        { field: "maxLength", hint: "cut both to a length with the same frequencies, or leave the pair out" },
      );
    }
    lengths.fill(first, start, start + promptLength);
    let end = start + promptLength;
    for (const [index, length] of responseLengths.entries()) {
      lengths.fill(ofSequences[index]!, end, end + length);
      end += length;
    }
  }
  return lengths;
}

function masksOf(engine: Engine, batch: PackedBatch, window: number | undefined): FloatValue[] {
  const shared = new Map<string, FloatValue>();
  return batch.rows.map((row) => {
    const key = [row.promptLength, ...row.responseLengths].join(" ");
    const mask = shared.get(key) ?? upload(engine, [row.length, row.length], attentionMask(row, window));
    shared.set(key, mask);
    return mask;
  });
}
