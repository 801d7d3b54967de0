import { setImmediate } from "node:timers/promises";
import type { Engine, FloatValue } from "../engine/engine.ts";
import { mapFile } from "../engine/mapped-file.ts";
import { UserError } from "../errors.ts";
import { quantize } from "../graph/ops/storage.ts";
import type { StorageFormat, Value } from "../graph/tensor.ts";
import { dtypeBytes, firstNonFinite, firstNonFiniteHalf } from "../number-formats.ts";
import type { ModelFolder } from "./folder.ts";
import { parameterShapes, scalesName } from "./parameter-shapes.ts";
import type { Weights } from "./transformer.ts";

/** How the matrices of a frozen model's blocks are kept: as they are stored, or quantised to 4 bits on loading. */
export type FrozenFormat = "stored" | "int4";

/** What only a few rows of are read at once, and what is multiplied with. */
export interface MatrixRoles {
  readonly embedding: string;
  readonly head: string;
}

/** The weights of a model that does not train, and the format that the matrices of its blocks have. */
export interface FrozenWeights {
  readonly weights: Weights;
  readonly matrices: StorageFormat | "float";
  /** Those that are not mapped but in the engine's memory. */
  readonly memory: readonly FloatValue[];
}

/**
 * A model's weights without a copy where that can be: mapped from their files, in the format that they are stored in. What programs take as
 * floats (norms, biases, the head) is read where it is stored otherwise.
 *
 * @throws UserError for a weight that is not finite.
 */
export async function loadFrozenWeights(
  engine: Engine,
  folder: ModelFolder,
  { embedding, head }: MatrixRoles,
  format: FrozenFormat,
): Promise<FrozenWeights> {
  const shapes = parameterShapes(folder.configuration);
  const isBlockMatrix = (name: string) => shapes.get(name)!.length === 2 && name !== embedding && name !== head;
  const stored = new Set([...shapes.keys()].filter(isBlockMatrix).map((name) => formatOf(folder, name)));
  const matrices = format === "int4" ? format : stored.size === 1 ? ([...stored][0] ?? "float") : "float";
  const weights = new Map<string, Value>();
  const memory: FloatValue[] = [];
  for (const [name, shape] of shapes) {
    const wanted = isBlockMatrix(name)
      ? matrices
      : name === embedding && name !== head
        ? formatOf(folder, name)
        : "float";
    if (wanted === "int4") {
      const { packed, scales } = quantize({ shape, data: await folder.read(name) });
      weights.set(name, packed);
      weights.set(scalesName(name), scales);
    } else {
      const inPlace = wanted === formatOf(folder, name) ? mapped(folder, name) : undefined;
      if (inPlace) weights.set(name, inPlace);
      else {
        const read = await readInto(engine, folder, name);
        memory.push(read);
        weights.set(name, read);
      }
    }
    // Looking at millions of numbers should not keep the process from everything else.
    await setImmediate();
  }
  return { weights, matrices, memory };
}

/** The format that a weight could be mapped in; undefined where it must be converted. */
function formatOf(folder: ModelFolder, name: string): StorageFormat | "float" | undefined {
  const formats = { F32: "float", BF16: "bfloat16", F16: "float16" } as const;
  const { dtype } = folder.weights.get(name)!;
  return dtype in formats ? formats[dtype as keyof typeof formats] : undefined;
}

function mapped(folder: ModelFolder, name: string): Value | undefined {
  const { file, offset, bytes, shape, dtype } = folder.weights.get(name)!;
  if (offset % dtypeBytes(dtype) !== 0) return undefined;
  const memory = mapFile(file, offset, bytes);
  if (!memory) return undefined;
  const format = formatOf(folder, name)!;
  const wrong =
    format === "float"
      ? firstNonFinite(new Float32Array(memory))
      : firstNonFiniteHalf(new Uint16Array(memory), dtype as "F16" | "BF16");
  if (wrong >= 0) throw new UserError(`is not finite at index ${wrong} of [${shape}]`, { file, field: name });
  return format === "float"
    ? { shape, data: new Float32Array(memory) }
    : { shape, data: new Uint16Array(memory), format };
}

async function readInto(engine: Engine, folder: ModelFolder, name: string): Promise<FloatValue> {
  const { shape } = folder.weights.get(name)!;
  const value = engine.allocate(shape);
  if (value.data instanceof Float32Array) await folder.read(name, value.data);
  else value.data.set(await folder.read(name));
  return value;
}
