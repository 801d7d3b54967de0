import { createReadStream } from "node:fs";
import type { Engine, FloatValue } from "../engine/engine.ts";
import { mapFile } from "../engine/native/mapped-file.ts";
import { UserError } from "../errors.ts";
import { nextTurn } from "../event-loop.ts";
import { blocksOf, quantize } from "../graph/ops/storage.ts";
import type { StorageFormat, Value } from "../graph/tensor.ts";
import { parameterShapes } from "../models/architecture.ts";
import { type ParameterValues, scalesName } from "../models/parameters.ts";
import { dtypeBytes, firstNonFinite, firstNonFiniteHalf } from "../number-formats.ts";
import type { ModelFolder } from "./folder.ts";
import { readParameter } from "./read-parameter.ts";

/**
 * The way the matrices of a frozen model's blocks are kept: as they are stored, or quantised to 4
 * bits on loading.
 */
export type FrozenFormat = "stored" | "int4";

/**
 * The parameters of a model that does not train, and the format that the matrices of its blocks
 * have.
 */
export interface FrozenParameters {
  readonly parameters: ParameterValues;
  readonly matrices: StorageFormat | "float";
  /** Those that are not mapped but in the engine's memory. */
  readonly memory: readonly FloatValue[];
}

/**
 * The format of each parameter of a frozen model, and the one format of the matrices of its blocks.
 */
function keptFormats(folder: ModelFolder, format: FrozenFormat) {
  const { embedding, positionEmbedding, head } = folder.architecture;
  const shapes = parameterShapes(folder.architecture);
  // Rows are looked up in any format; a head is multiplied with.
  const isTable = (name: string) => name === embedding || name === positionEmbedding?.name;
  const isBlockMatrix = (name: string) => shapes.get(name)!.length === 2 && !isTable(name) && name !== head;
  const stored = new Set([...shapes.keys()].filter(isBlockMatrix).map((name) => formatOf(folder, name)));
  const matrices = format === "int4" ? format : stored.size === 1 ? ([...stored][0] ?? "float") : "float";
  const kept = (name: string): StorageFormat | "float" => {
    if (isBlockMatrix(name)) return matrices;
    return (isTable(name) && name !== head && formatOf(folder, name)) || "float";
  };
  return { matrices, formats: new Map([...shapes.keys()].map((name) => [name, kept(name)])) };
}

/** Bytes of memory that a frozen model takes besides what is mapped from its files. */
export function frozenBytes(folder: ModelFolder, format: FrozenFormat): number {
  let bytes = 0;
  for (const [name, kept] of keptFormats(folder, format).formats) {
    const [rows, columns = 1] = folder.parameters.get(name)!.shape as [number, number?];
    if (kept === "int4") bytes += Math.ceil((rows * columns) / 2) + 4 * rows * blocksOf(columns);
    else if (kept !== formatOf(folder, name)) bytes += 4 * rows * columns;
  }
  return bytes;
}

/**
 * A model's parameters without a copy where that can be: mapped from their files, in the format
 * that they are stored in. What programs take as floats (norms, biases, the head) is read where it
 * is stored otherwise.
 *
 * @throws UserError for a parameter that is not finite.
 */
export async function loadFrozenParameters(
  engine: Engine,
  folder: ModelFolder,
  format: FrozenFormat,
): Promise<FrozenParameters> {
  const { matrices, formats } = keptFormats(folder, format);
  const parameters = new Map<string, Value>();
  const memory: FloatValue[] = [];
  for (const [name, kept] of formats) {
    if (kept === formatOf(folder, name)) parameters.set(name, await asStored(folder, name));
    else if (kept === "int4") {
      const { packed, scales } = quantize({ shape: folder.parameters.get(name)!.shape, data: await folder.read(name) });
      parameters.set(name, packed);
      parameters.set(scalesName(name), scales);
    } else {
      const read = await readParameter(engine, folder, name);
      memory.push(read);
      parameters.set(name, read);
    }
    // Looking at millions of numbers should not keep the process from everything else.
    await nextTurn();
  }
  return { parameters, matrices, memory };
}

/** The format that a parameter could be mapped in; undefined where it must be converted. */
function formatOf(folder: ModelFolder, name: string): StorageFormat | "float" | undefined {
  const formats = { F32: "float", BF16: "bfloat16", F16: "float16" } as const;
  const { dtype } = folder.parameters.get(name)!;
  return dtype in formats ? formats[dtype as keyof typeof formats] : undefined;
}

/**
 * A parameter in the format that it is stored in: mapped, or read where the system cannot map it or
 * it is not aligned.
 */
async function asStored(folder: ModelFolder, name: string): Promise<Value> {
  const { file, offset, bytes, shape, dtype } = folder.parameters.get(name)!;
  const aligned = offset % dtypeBytes(dtype) === 0;
  const memory = (aligned && mapFile(file, offset, bytes)) || (await readPart(file, offset, bytes));
  const format = formatOf(folder, name)!;
  const value: Value =
    format === "float" ? { shape, data: new Float32Array(memory) } : { shape, data: new Uint16Array(memory), format };
  const wrong =
    value.data instanceof Float32Array
      ? firstNonFinite(value.data)
      : firstNonFiniteHalf(value.data as Uint16Array, dtype as "F16" | "BF16");
  if (wrong >= 0) throw new UserError(`is not finite at index ${wrong} of [${shape}]`, { file, field: name });
  return value;
}

async function readPart(file: string, offset: number, bytes: number): Promise<ArrayBuffer> {
  const memory = new ArrayBuffer(bytes);
  const pieces = createReadStream(file, { start: offset, end: offset + bytes - 1, highWaterMark: 1 << 20 });
  let done = 0;
  for await (const piece of pieces as AsyncIterable<Uint8Array>) {
    new Uint8Array(memory, done, piece.length).set(piece);
    done += piece.length;
  }
  return memory;
}
