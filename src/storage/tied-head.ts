import * as formats from "../number-formats.ts";
import { readStored, type SafetensorsFile } from "./safetensors.ts";
import { elementCount, type TensorEntry } from "./safetensors-header.ts";

/** A tensor, by its name in its file. */
export interface PlacedTensor {
  readonly opened: SafetensorsFile;
  readonly name: string;
}

/** Numbers compared at once. */
const pieceLength = 1 << 20;

/**
 * True if two stored tensors hold the same numbers in the same shape, whatever their formats. Reads
 * up to the first difference.
 */
export async function holdTheSame(one: PlacedTensor, other: PlacedTensor): Promise<boolean> {
  const [entry, otherEntry] = [one, other].map(({ opened, name }) => opened.tensors.get(name)!) as [
    TensorEntry,
    TensorEntry,
  ];
  if (String(entry.shape) !== String(otherEntry.shape)) return false;
  if (entry.dtype !== otherEntry.dtype && ![entry, otherEntry].every(({ dtype }) => formats.isFloatDtype(dtype))) {
    return false;
  }
  const count = elementCount(entry.shape);
  for (let start = 0; start < count; start += pieceLength) {
    const range = { start, end: Math.min(start + pieceLength, count) };
    const [piece, otherPiece] = await Promise.all(
      [one, other].map(({ opened, name }) => readStored(opened, name, range)),
    );
    if (entry.dtype === otherEntry.dtype) {
      if (Buffer.compare(formats.bytesOf(piece!), formats.bytesOf(otherPiece!)) !== 0) return false;
    } else {
      const [numbers, otherNumbers] = [asFloats(entry, piece!), asFloats(otherEntry, otherPiece!)];
      if (numbers.some((number, index) => number !== otherNumbers[index])) return false;
    }
  }
  return true;
}

function asFloats({ dtype }: TensorEntry, data: formats.TensorData): Float32Array {
  if (!formats.isFloatDtype(dtype)) throw new RangeError(`${dtype} numbers are no floats`);
  const floats = new Float32Array(data.length);
  formats.toFloat32(dtype, data, floats);
  return floats;
}
