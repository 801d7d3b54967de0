import { createHash } from "node:crypto";
import { type FileHandle, open, rm, stat, truncate } from "node:fs/promises";
import type { TokenizedExample } from "../data/example.ts";
import { hashArrays, tokensOf } from "../data/fingerprint.ts";
import type { FloatArray } from "../engine/engine.ts";
import { UserError } from "../errors.ts";
import { asUserError, writeFileAtomic } from "../files/file-system.ts";

/** The facts that a cached reference depends on, besides the tokens. */
export interface ReferenceIdentity {
  /** A fingerprint of the frozen model. */
  readonly reference: string;
  /** Columns of its hidden states. */
  readonly width: number;
}

export interface ReferenceCacheOptions {
  /** Bytes of the file at most; what does not fit is computed each time. */
  readonly budget: number;
  /** The examples that are worth keeping, because they come again. */
  readonly wanted: ReadonlySet<TokenizedExample>;
  /** Told once, if the disk refuses to take more. */
  warn(message: string): void;
}

/** A record: a hash of the tokens, the number of rows, a checksum of the rows, the rows. */
const keyBytes = 32;
const headBytes = keyBytes + 8;
const floatBytes = 4;

/**
 * The reference's hidden states at the scored positions, after the last norm, kept on disk in
 * float32, so that each example costs the reference one pass, whatever the number of epochs and
 * evaluations. Its frozen head is applied again: the whole distribution follows from it, and
 * positions by width are some forty times smaller than positions by vocabulary.
 *
 * The file is a cache: what is torn or of another reference is dropped and computed again, and a
 * disk that takes no more only ends the adding.
 */
export class ReferenceCache {
  readonly file: string;
  readonly #handle: FileHandle;
  readonly #width: number;
  readonly #options: ReferenceCacheOptions;
  /** The beginning of the rows of an example, by the hash of its tokens. */
  readonly #places: Map<string, number>;
  #end: number;
  /** True if the disk has refused to take more. */
  #refused = false;

  private constructor(
    file: string,
    handle: FileHandle,
    width: number,
    options: ReferenceCacheOptions,
    { places, end }: Found,
  ) {
    this.file = file;
    this.#handle = handle;
    this.#width = width;
    this.#options = options;
    this.#places = places;
    this.#end = end;
  }

  /**
   * Opens the cache in a file, or begins it.
   *
   * @throws UserError where the file system refuses.
   */
  static async open(
    file: string,
    identity: ReferenceIdentity,
    options: ReferenceCacheOptions,
  ): Promise<ReferenceCache> {
    const header = `${JSON.stringify({ format: "tokenwise reference cache", ...identity })}\n`;
    try {
      const found = (await findRecords(file, header, identity.width)) ?? { places: new Map(), end: header.length };
      if (found.places.size === 0) await writeFileAtomic(file, header);
      else await truncate(file, found.end);
      return new ReferenceCache(file, await open(file, "r+"), identity.width, options, found);
    } catch (error) {
      throw asUserError(error, file, "cannot use the reference cache");
    }
  }

  has(example: TokenizedExample): boolean {
    return this.#places.has(keyOf(example).toString("base64"));
  }

  /**
   * Hidden states of an example, [response tokens, width], in the order of its responses; undefined
   * if they are not here.
   */
  async read(example: TokenizedExample): Promise<Float32Array | undefined> {
    const key = keyOf(example);
    const place = this.#places.get(key.toString("base64"));
    if (place === undefined) return undefined;
    const record = Buffer.alloc(headBytes + rowsOf(example) * this.#width * floatBytes);
    await this.#handle.read(record, 0, record.length, place);
    if (record.readInt32LE(keyBytes + 4) !== checksum(record.subarray(headBytes))) return undefined;
    // The numbers need an address that is a multiple of their size.
    return new Float32Array(new Uint8Array(record.subarray(headBytes)).buffer);
  }

  /**
   * Keeps the hidden states of an example, as float32, if it comes again and budget and disk allow;
   * see `has`.
   */
  async add(example: TokenizedExample, states: FloatArray): Promise<void> {
    if (this.#refused || !this.#options.wanted.has(example)) return;
    const key = keyOf(example);
    const floats = states instanceof Float32Array ? states : Float32Array.from(states);
    const bytes = headBytes + floats.byteLength;
    if (this.#places.has(key.toString("base64")) || this.#end + bytes > this.#options.budget) return;
    const rows = Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);
    const head = Buffer.alloc(headBytes);
    key.copy(head);
    head.writeUInt32LE(rowsOf(example), keyBytes);
    head.writeInt32LE(checksum(rows), keyBytes + 4);
    try {
      await this.#write(Buffer.concat([head, rows]));
    } catch (error) {
      const refusal = asUserError(error, this.file, "cannot write the reference cache");
      if (!(refusal instanceof UserError)) throw refusal;
      this.#refused = true;
      this.#options.warn(`${refusal.message}; what is not in it is computed each time`);
      return;
    }
    this.#places.set(key.toString("base64"), this.#end);
    this.#end += bytes;
  }

  /** Keeps the hidden states of examples that were packed together, [entries, width]. */
  async addAll(examples: readonly TokenizedExample[], states: FloatArray): Promise<void> {
    let start = 0;
    for (const example of examples) {
      const end = start + rowsOf(example) * this.#width;
      await this.add(example, states.subarray(start, end));
      start = end;
    }
  }

  /**
   * Writes a record behind the others. A disk that fills up takes a part of it first and refuses
   * the rest.
   */
  async #write(record: Buffer): Promise<void> {
    let done = 0;
    while (done < record.length) {
      done += (await this.#handle.write(record, done, record.length - done, this.#end + done)).bytesWritten;
    }
  }

  /** @param options.keep whether a resumed run will want the file */
  async close({ keep }: { keep: boolean }): Promise<void> {
    await this.#handle.close();
    if (!keep) await rm(this.file, { force: true });
  }
}

/** Bytes that the hidden states of examples take. */
export function referenceCacheBytes(examples: Iterable<TokenizedExample>, width: number): number {
  let bytes = 0;
  for (const example of examples) bytes += headBytes + rowsOf(example) * width * floatBytes;
  return bytes;
}

interface Found {
  readonly places: Map<string, number>;
  /** The end of the last whole record. */
  readonly end: number;
}

/** The records of a file; undefined if there is none, or it is of another reference. */
async function findRecords(file: string, header: string, width: number): Promise<Found | undefined> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size < header.length) return undefined;
  const handle = await open(file, "r");
  try {
    const start = Buffer.alloc(header.length);
    await handle.read(start, 0, start.length, 0);
    if (start.toString("utf8") !== header) return undefined;
    const places = new Map<string, number>();
    const head = Buffer.alloc(headBytes);
    let end = header.length;
    while (end + headBytes <= size) {
      await handle.read(head, 0, headBytes, end);
      const bytes = headBytes + head.readUInt32LE(keyBytes) * width * floatBytes;
      if (bytes === headBytes || end + bytes > size) break;
      places.set(head.subarray(0, keyBytes).toString("base64"), end);
      end += bytes;
    }
    return { places, end };
  } finally {
    await handle.close();
  }
}

function rowsOf({ responses }: TokenizedExample): number {
  return responses.reduce((sum, { length }) => sum + length, 0);
}

function keyOf(example: TokenizedExample): Buffer {
  return hashArrays(tokensOf(example));
}

function checksum(bytes: Uint8Array): number {
  return createHash("sha256").update(bytes).digest().readInt32LE();
}
