import { toFloat32 } from "../../number-formats.ts";
import { apply, formatShape, type Op, type StorageFormat, type Tensor, type Value } from "../tensor.ts";

type NoAttributes = Record<string, never>;

/** Numbers of a row that share a scale; a row's last block may be shorter. */
export const blockSize = 64;

const widenOp: Op<NoAttributes> = {
  name: "widen",
  evaluate: ([x]) => ({ shape: x!.shape, data: Float64Array.from(widened(x!)) }),
  onnx: (writer, [x]) => writer.toFloat(x!),
  gradient: () => [undefined],
};

/**
 * Weights of 16 bits as floats to compute with. They have no gradient: only frozen weights are
 * stored so.
 */
export function widen(x: Tensor): Tensor {
  return apply(widenOp, [x], x.shape, {});
}

/** The numbers of a value in one of the 16-bit formats. */
export function widened({ data, format }: Value): Float32Array {
  const result = new Float32Array(data.length);
  toFloat32(format === "bfloat16" ? "BF16" : "F16", data, result);
  return result;
}

const dequantizeOp: Op<NoAttributes> = {
  name: "dequantize",
  evaluate: ([packed, scales]) => {
    const [rows, columns] = packed!.shape as [number, number];
    const blocks = blocksOf(columns);
    const data = Float64Array.from({ length: rows * columns }, (_, index) => {
      const row = Math.floor(index / columns);
      const block = Math.floor((index % columns) / blockSize);
      return fourBits(packed!.data, index) * scales!.data[row * blocks + block]!;
    });
    return { shape: packed!.shape, data };
  },
  onnx: (writer, [packed, scales]) =>
    writer.node("DequantizeLinear", [packed!, scales!], { axis: 1, block_size: blockSize }),
  gradient: () => [undefined, undefined],
};

/**
 * Weights of 4 bits, [rows, columns], as floats: each times the scale of its block,
 * [rows, ⌈columns / blockSize⌉].
 */
export function dequantize(packed: Tensor, scales: Tensor): Tensor {
  const [rows, columns] = packed.shape;
  if (packed.shape.length !== 2 || String(scales.shape) !== String([rows, blocksOf(columns as number)]))
    throw new Error(`dequantize: scales ${formatShape(scales.shape)} for ${formatShape(packed.shape)}`);
  return apply(dequantizeOp, [packed, scales], packed.shape, {});
}

/** The number of blocks in a row of so many numbers. */
export function blocksOf(columns: number): number {
  return Math.ceil(columns / blockSize);
}

/**
 * A matrix [rows, columns] in 4 bits a number: in each block the number of the largest magnitude
 * becomes -8, so that all sixteen values serve, and the others are rounded to the nearest of them.
 */
export function quantize(matrix: Value): { packed: Value; scales: Value } {
  const [rows, columns] = matrix.shape as [number, number];
  const blocks = blocksOf(columns);
  const packed = new Uint8Array(Math.ceil((rows * columns) / 2));
  const scales = new Float32Array(rows * blocks);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const start = row * columns + block * blockSize;
      const end = Math.min(start + blockSize, (row + 1) * columns);
      let largest = 0;
      for (let index = start; index < end; index++) {
        if (Math.abs(matrix.data[index]!) > Math.abs(largest)) largest = matrix.data[index]!;
      }
      const scale = largest === 0 ? 0 : largest / -8;
      scales[row * blocks + block] = scale;
      for (let index = start; index < end; index++) {
        const level = scale === 0 ? 0 : Math.max(-8, Math.min(7, Math.round(matrix.data[index]! / scale)));
        packed[index >> 1]! |= (level & 15) << (4 * (index & 1));
      }
    }
  }
  return {
    packed: { shape: matrix.shape, data: packed, format: "int4" },
    scales: { shape: [rows, blocks], data: scales },
  };
}

/** The signed number at `index` of an array of 4-bit ones. */
function fourBits(data: ArrayLike<number>, index: number): number {
  const bits = (data[index >> 1]! >> (4 * (index & 1))) & 15;
  return bits < 8 ? bits : bits - 16;
}

/**
 * The floats that a stored weight stands for, as graph nodes; `scales` are those of a quantised
 * one.
 */
export function computable(weight: Tensor, format: StorageFormat | "float", scales?: Tensor): Tensor {
  if (format === "float") return weight;
  return format === "int4" ? dequantize(weight, scales!) : widen(weight);
}
