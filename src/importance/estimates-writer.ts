import { existsSync } from "node:fs";
import { type FileHandle, open, rm, truncate } from "node:fs/promises";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { asUserError, writeFileAtomic } from "../files/file-system.ts";
import { bytesOf } from "../number-formats.ts";
import { writeSafetensors } from "../storage/safetensors.ts";
import type { PairEstimate } from "./estimate.ts";
import * as format from "./estimates-file.ts";
import { encodeRecord, readRecords } from "./estimates-records.ts";

/**
 * Writes a file of estimates that take hours to make: what is done lies in `<file>.partial`, where
 * an interrupted run continues, until `finish` makes the file of it. The partial is a line of JSON,
 * then a record for each pair.
 */
export class EstimatesWriter {
  readonly file: string;
  readonly #identity: format.EstimatesIdentity;
  readonly #pairs: number;
  readonly #partial: string;
  readonly #handle: FileHandle;
  /** The places in the partial at which the records begin and the last whole one ends. */
  readonly #start: number;
  #end: number;
  /**
   * The beginnings of the pairs that are done in the flat tensors of a part, and the end of the
   * last.
   */
  readonly #offsets: Readonly<Record<format.Part, number[]>> = { prompt: [0], chosen: [0], rejected: [0] };

  private constructor(
    file: string,
    { identity, pairs }: Progress,
    partial: { file: string; handle: FileHandle; start: number },
  ) {
    this.file = file;
    this.#identity = identity;
    this.#pairs = pairs;
    this.#partial = partial.file;
    this.#handle = partial.handle;
    this.#start = partial.start;
    this.#end = partial.start;
  }

  /**
   * Begins, or continues what was interrupted. Half a record at the end of a partial does not count
   * as done.
   *
   * @param pairs how many there will be
   * @throws UserError if there is a partial of another identity or number of pairs, or it cannot be
   * read and written.
   */
  static async open(file: string, identity: format.EstimatesIdentity, pairs: number): Promise<EstimatesWriter> {
    if (!(pairs > 0)) throw new Error("there are no pairs to estimate");
    const taken = Object.keys(format.metadata).find((key) => Object.hasOwn(identity, key));
    if (taken) throw new Error(`the identity cannot hold "${taken}", which is the file's own`);
    const progress = { identity, pairs };
    const partial = `${file}.partial`;
    if (!existsSync(partial)) {
      await writeFileAtomic(partial, `${JSON.stringify({ ...format.metadata, ...progress })}\n`);
    }
    const start = await readStart(partial, progress);
    const handle = await open(partial, "a").catch((error) => {
      throw asUserError(error, partial, "cannot write");
    });
    const writer = new EstimatesWriter(file, progress, { file: partial, handle, start });
    try {
      for await (const records of readRecords(partial, { start })) writer.#count(records.pairs, records.bytes);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return writer;
  }

  /** The number of pairs that are done, from the first on. */
  get done(): number {
    return this.#offsets.prompt.length - 1;
  }

  /**
   * Adds the next pairs; they are on the disk when this returns.
   *
   * @throws UserError naming the pair and the side of a NaN or an infinity, or if the partial
   * cannot be written.
   */
  async append(pairs: readonly PairEstimate[]): Promise<void> {
    if (this.done + pairs.length > this.#pairs) throw new Error(`more than ${this.#pairs} pairs`);
    for (const [index, pair] of pairs.entries()) {
      checkLengths(pair);
      format.checkLogProbabilities(pair, this.done + index, this.file);
    }
    const records = Buffer.concat(pairs.map(encodeRecord));
    try {
      // Half a record may lie there, of a crash or of a call that failed.
      await truncate(this.#partial, this.#end);
      await this.#handle.appendFile(records);
      await this.#handle.sync();
    } catch (error) {
      throw asUserError(error, this.#partial, "cannot write");
    }
    this.#count(pairs, records.length);
  }

  /**
   * Makes the file, whole or not at all, and removes the partial. Each column is a pass over the
   * partial, so that memory does not grow with the number of pairs.
   *
   * @throws UserError where the file system refuses; the partial stays then.
   */
  async finish(): Promise<void> {
    if (this.done < this.#pairs) throw new Error(`only ${this.done} of ${this.#pairs} pairs are done`);
    const offsets = format.parts.map((part) => ({
      name: `${part}.offsets`,
      shape: [this.#pairs + 1],
      data: BigInt64Array.from(this.#offsets[part], BigInt),
    }));
    const flat = format.columns.map((column) => ({
      name: column.name,
      shape: [this.#offsets[column.part].at(-1)!],
      dtype: column.dtype,
      pieces: this.#piecesOf(column),
    }));
    await writeSafetensors(this.file, [...offsets, ...flat], { metadata: { ...format.metadata, ...this.#identity } });
    await this.close();
    await rm(this.#partial, { force: true });
  }

  /** Ends the work on the partial, which stays to be continued. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  #count(pairs: readonly PairEstimate[], bytes: number): void {
    for (const part of format.parts) {
      const offsets = this.#offsets[part];
      for (const pair of pairs) offsets.push(offsets.at(-1)! + format.lengthOf(pair, part));
    }
    this.#end += bytes;
  }

  async *#piecesOf(column: format.Column): AsyncGenerator<Uint8Array> {
    for await (const { pairs } of readRecords(this.#partial, { start: this.#start, end: this.#end })) {
      yield Buffer.concat(pairs.map((pair) => bytesOf(column.of(pair))));
    }
  }
}

/** The facts that two runs must have in common to share a partial. */
interface Progress {
  readonly identity: format.EstimatesIdentity;
  readonly pairs: number;
}

const headerSchema = z.object({
  format: z.literal(format.metadata.format),
  version: z.literal(format.metadata.version),
  pairs: z.number(),
  identity: z.record(z.string(), z.string()),
});

/** More than any header takes, so that a file without line breaks is not read whole. */
const longestHeader = 1 << 20;

/** Checks the first line of a partial, and says where the next begins. */
async function readStart(partial: string, progress: Progress): Promise<number> {
  const bytes = await readHead(partial, longestHeader);
  const end = bytes.indexOf("\n");
  const header = headerSchema.safeParse(parseLine(bytes.toString("utf8", 0, Math.max(end, 0))));
  if (!header.success) {
    const hint = "delete it, or choose another file for the estimates";
    throw new UserError("does not hold estimates that can be continued", { file: partial, hint });
  }
  const [found, wanted] = [header.data, progress].map(
    ({ identity, pairs }) => new Map([...Object.entries(identity), ["number of pairs", String(pairs)]]),
  );
  const changed = [...wanted!.keys(), ...found!.keys()].find((key) => found!.get(key) !== wanted!.get(key));
  if (changed !== undefined) {
    const values = `${found!.get(changed) ?? "missing"} there, ${wanted!.get(changed) ?? "missing"} now`;
    const hint = "delete it to start again, or choose another file for these estimates";
    throw new UserError(`holds unfinished estimates of another ${changed} (${values})`, { file: partial, hint });
  }
  return end + 1;
}

async function readHead(file: string, length: number): Promise<Buffer> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, "r");
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    throw asUserError(error, file, "cannot read");
  } finally {
    await handle?.close();
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function checkLengths(pair: PairEstimate): void {
  if (format.parts.some((part) => format.lengthOf(pair, part) === 0)) throw new Error("a part of a pair has no tokens");
  for (const { name, part, of } of format.columns) {
    const [length, expected] = [of(pair).length, format.lengthOf(pair, part)];
    if (length !== expected) throw new Error(`${name} holds ${length} numbers for ${expected} tokens`);
  }
}
