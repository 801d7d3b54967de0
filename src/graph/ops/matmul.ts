import { broadcastShapes, broadcastStrides, walk } from "../broadcast.ts";
import {
  apply,
  elementCount,
  formatShape,
  type Op,
  type Shape,
  sameShape,
  type Tensor,
  type Value,
} from "../tensor.ts";
import { add, evaluateBinary, unbroadcast } from "./elementwise.ts";

type MatmulAttributes = { transposeA: boolean; transposeB: boolean };

/** Rows and columns of the (possibly transposed) matrices in the last two axes. */
function matrix<T>(shape: readonly T[], transpose: boolean): [T, T] {
  const [rows, columns] = shape.slice(-2) as [T, T];
  return transpose ? [columns, rows] : [rows, columns];
}

const matmulOp: Op<MatmulAttributes> = {
  name: "matmul",
  evaluate: ([a, b, plus], { transposeA, transposeB }) => {
    const product = evaluateMatmul(a!, b!, transposeA, transposeB);
    return plus ? evaluateBinary(product, plus, (x, y) => x + y) : product;
  },
  onnx: (writer, inputs, { transposeA, transposeB }) => {
    if (writer.rank(inputs[0]!) === 2 && writer.rank(inputs[1]!) === 2) {
      return writer.node("Gemm", inputs, { transA: Number(transposeA), transB: Number(transposeB) });
    }
    // ONNX Runtime fuses these transpositions into the product.
    const [a, b] = [transposeA, transposeB].map((transpose, side) => {
      const name = inputs[side]!;
      const rank = writer.rank(name);
      const order = [...Array(rank - 2).keys(), rank - 1, rank - 2];
      return transpose ? writer.node("Transpose", [name], { perm: order }) : name;
    });
    return writer.node("MatMul", [a!, b!]);
  },
  gradient: ({ inputs: [a, b, plus], attributes: { transposeA, transposeB }, dy }) => {
    const da = transposeA
      ? matmul(b!, dy, { transposeA: transposeB, transposeB: true })
      : matmul(dy, b!, { transposeB: !transposeB });
    const db = transposeB
      ? matmul(dy, a!, { transposeA: true, transposeB: transposeA })
      : matmul(a!, dy, { transposeA: !transposeA });
    const gradients = [unbroadcast(da, a!.shape), unbroadcast(db, b!.shape)];
    return plus ? [...gradients, unbroadcast(dy, plus.shape)] : gradients;
  },
};

function evaluateMatmul(
  a: Value,
  b: Value,
  transposeA: boolean,
  transposeB: boolean,
): { shape: number[]; data: Float64Array } {
  const [rows, inner] = matrix(a.shape, transposeA);
  const [, columns] = matrix(b.shape, transposeB);
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2)) as number[];
  const data = new Float64Array(elementCount(batch) * rows * columns);
  const [aRow, aInner] = transposeA ? [1, rows] : [inner, 1];
  const [bInner, bColumn] = transposeB ? [1, inner] : [columns, 1];
  const strides = [a, b].map((value) => broadcastStrides(value.shape.slice(0, -2), batch)) as [number[], number[]];
  walk(batch, strides, (output, aBatch, bBatch) => {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let total = 0;
        for (let k = 0; k < inner; k++) {
          total +=
            a.data[aBatch * rows * inner + row * aRow + k * aInner]! *
            b.data[bBatch * inner * columns + k * bInner + column * bColumn]!;
        }
        data[(output * rows + row) * columns + column] = total;
      }
    }
  });
  return { shape: [...batch, rows, columns], data };
}

/**
 * The matrix product over the last two axes; earlier axes broadcast. `transposeA` and `transposeB`
 * read a matrix transposed.
 *
 * @param options.plus a matrix to add to a product of two plain matrices. When the engine is given
 * the same memory for it and for the result, the product is accumulated in place.
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false, plus }: { transposeA?: boolean; transposeB?: boolean; plus?: Tensor } = {},
): Tensor {
  const [rows, inner] = matrix(a.shape, transposeA);
  const [innerB, columns] = matrix(b.shape, transposeB);
  if (inner !== innerB)
    throw new Error(`matmul: ${formatShape(a.shape)} and ${formatShape(b.shape)} have different inner lengths`);
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const shape = [...batch, rows, columns];
  if (plus) checkPlus(plus.shape, shape);
  return apply(matmulOp, plus ? [a, b, plus] : [a, b], shape, { transposeA, transposeB });
}

function checkPlus(plus: Shape, product: Shape): void {
  if (product.length !== 2) throw new Error("matmul: `plus` needs a product of two plain matrices");
  if (!sameShape(broadcastShapes(product, plus), product))
    throw new Error(`matmul: ${formatShape(plus)} cannot be added to a product ${formatShape(product)}`);
}

/** True if the tensor is a product of two plain matrices to which `accumulate` can add in place. */
function isPlainProduct(tensor: Tensor): boolean {
  return (
    (tensor.op as unknown) === matmulOp &&
    tensor.inputs.length === 2 &&
    tensor.inputs.every((x) => x.shape.length === 2)
  );
}

/** `total + term`; a matrix product adds into the total as part of the product. */
export function accumulate(total: Tensor, term: Tensor): Tensor {
  if (!isPlainProduct(term)) return add(total, term);
  return apply(matmulOp, [...term.inputs, total], term.shape, term.attributes as MatmulAttributes);
}

/** A linear layer as checkpoints store it: `x Wᵀ (+ bias)`, x [rows, in], weight [out, in]. */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  return matmul(x, weight, { transposeB: true, ...(bias && { plus: bias }) });
}
