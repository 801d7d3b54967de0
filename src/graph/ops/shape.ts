import { apply, elementCount, formatShape, type Op, type Shape, sameShape, type Tensor } from "../tensor.ts";

const reshapeOp: Op<{ shape: Shape }> = {
  name: "reshape",
  evaluate: ([x], { shape }) => ({ shape: resolveShape(shape, x!.data.length), data: x!.data }),
  onnx: (writer, [x], { shape }) =>
    writer.node("Reshape", [
      x!,
      writer.integers(shape.map((dimension) => (typeof dimension === "number" ? dimension : -1))),
    ]),
  gradient: ({ inputs: [x], dy }) => [reshape(dy, x!.shape)],
};

/** Fills in the one unknown length of `shape` for `count` elements. */
function resolveShape(shape: Shape, count: number): number[] {
  return shape.map((dimension) => (typeof dimension === "number" ? dimension : count / knownCount(shape)));
}

/** The product of the known lengths. */
function knownCount(shape: Shape): number {
  return shape.reduce<number>((product, dimension) => product * (typeof dimension === "number" ? dimension : 1), 1);
}

function symbols(shape: Shape): string[] {
  return shape.filter((dimension) => typeof dimension === "string");
}

/**
 * The same elements in row-major order under another shape, of which at most one length may be
 * symbolic.
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const change = `reshape ${formatShape(x.shape)} to ${formatShape(shape)}`;
  if (symbols(shape).length > 1) throw new Error(`${change}: more than one symbolic length`);
  if (sameShape(symbols(x.shape), symbols(shape)) && knownCount(x.shape) !== knownCount(shape))
    throw new Error(`${change}: another number of elements`);
  return apply(reshapeOp, [x], shape, { shape }, x.type);
}

const transposeOp: Op<{ order: readonly number[] }> = {
  name: "transpose",
  evaluate: ([x], { order }) => {
    const strides = x!.shape.map((_, axis) => elementCount(x!.shape.slice(axis + 1)));
    const shape = order.map((axis) => x!.shape[axis]!);
    const data = new Float64Array(x!.data.length);
    const counter = shape.map(() => 0);
    for (let output = 0; output < data.length; output++) {
      data[output] = x!.data[counter.reduce((offset, index, axis) => offset + index * strides[order[axis]!]!, 0)]!;
      for (let axis = shape.length - 1; axis >= 0 && ++counter[axis]! === shape[axis]!; axis--) counter[axis] = 0;
    }
    return { shape, data };
  },
  onnx: (writer, inputs, { order }) => writer.node("Transpose", inputs, { perm: order }),
  gradient: ({ attributes: { order }, dy }) => [
    transpose(
      dy,
      order.map((_, axis) => order.indexOf(axis)),
    ),
  ],
};

/** Axis `i` of the result is axis `order[i]` of `x`. */
export function transpose(x: Tensor, order: readonly number[]): Tensor {
  return apply(
    transposeOp,
    [x],
    order.map((axis) => x.shape[axis]!),
    { order },
  );
}

/**
 * The columns that form pairs: `i` and `i + width / 2` (halves), or `2i` and `2i + 1`
 * (interleaved).
 */
export type PairLayout = "halves" | "interleaved";

/** The first columns of the last axis, `width` of them, in pairs. */
type Pairs = { readonly width: number; readonly layout: PairLayout };

/** The other column of the pair that a column is in; itself beyond the pairs. */
function partnerOf(column: number, { width, layout }: Pairs): number {
  if (column >= width) return column;
  if (layout === "interleaved") return column % 2 === 0 ? column + 1 : column - 1;
  return (column + width / 2) % width;
}

const swapPairsOp: Op<Pairs & { columns: number }> = {
  name: "swapPairs",
  evaluate: ([x], pairs) => {
    const width = x!.shape.at(-1)!;
    const data = Float64Array.from(x!.data, (_, index) => {
      const column = index % width;
      return x!.data[index - column + partnerOf(column, pairs)]!;
    });
    return { shape: x!.shape, data };
  },
  onnx: (writer, [x], { columns, ...pairs }) => {
    const { width, layout } = pairs;
    const rest = columns === width ? [] : [columns - width];
    if (layout === "halves") {
      const [left, right, ...others] = writer.split(x!, [width / 2, width / 2, ...rest]);
      return writer.node("Concat", [right!, left!, ...others], { axis: -1 });
    }
    const partners = Array.from({ length: width }, (_, column) => partnerOf(column, pairs));
    const swapped = (part: string) => writer.node("Gather", [part, writer.integers(partners)], { axis: -1 });
    if (rest.length === 0) return swapped(x!);
    const [paired, others] = writer.split(x!, [width, ...rest]);
    return writer.node("Concat", [swapped(paired!), others!], { axis: -1 });
  },
  // It is its own inverse and its own transpose.
  gradient: ({ attributes, dy }) => [swapPairs(dy, attributes)],
};

/** Swaps the columns of each pair in the last axis; those beyond the pairs stay. */
export function swapPairs(x: Tensor, { width, layout }: Pairs): Tensor {
  const columns = x.shape.at(-1);
  if (typeof columns !== "number" || !(width > 0 && width <= columns && width % 2 === 0))
    throw new Error(`swapPairs: ${formatShape(x.shape)} has no ${width} columns in pairs`);
  return apply(swapPairsOp, [x], x.shape, { width, layout, columns });
}

const columnsOp: Op<{ start: number; end: number }> = {
  name: "columns",
  evaluate: ([x], { start, end }) => {
    const width = x!.shape.at(-1)!;
    const data = new Float64Array((x!.data.length / width) * (end - start));
    for (let from = start, to = 0; to < data.length; from += width, to += end - start) {
      for (let column = 0; column < end - start; column++) data[to + column] = x!.data[from + column]!;
    }
    return { shape: [...x!.shape.slice(0, -1), end - start], data };
  },
  onnx: (writer, [x], { start, end }) =>
    writer.node("Slice", [x!, writer.integers([start]), writer.integers([end]), writer.integers([-1])]),
  gradient: ({ inputs: [x], attributes: { start, end }, dy }) => [
    padColumns(dy, start, (x!.shape.at(-1) as number) - end),
  ],
};

/** Columns `start` to `end` of the last axis, without that at `end`. */
export function columns(x: Tensor, start: number, end: number): Tensor {
  const width = x.shape.at(-1);
  if (typeof width !== "number" || !(start >= 0 && start < end && end <= width))
    throw new Error(`columns: ${formatShape(x.shape)} has no columns ${start} to ${end}`);
  return apply(columnsOp, [x], [...x.shape.slice(0, -1), end - start], { start, end });
}

const joinColumnsOp: Op<Record<string, never>> = {
  name: "joinColumns",
  evaluate: (parts) => {
    const widths = parts.map(({ shape }) => shape.at(-1)!);
    const width = widths.reduce((total, one) => total + one, 0);
    const [first] = parts;
    const rows = first!.data.length / widths[0]!;
    const data = new Float64Array(rows * width);
    for (let row = 0, to = 0; row < rows; row++) {
      for (const [index, part] of parts.entries()) {
        for (let column = 0; column < widths[index]!; column++) data[to++] = part.data[row * widths[index]! + column]!;
      }
    }
    return { shape: [...first!.shape.slice(0, -1), width], data };
  },
  onnx: (writer, parts) => writer.node("Concat", parts, { axis: -1 }),
  gradient: ({ inputs, dy }) => {
    let end = 0;
    return inputs.map(({ shape }) => {
      end += shape.at(-1) as number;
      return columns(dy, end - (shape.at(-1) as number), end);
    });
  },
};

/** Tensors side by side: the columns of their last axes after each other. */
export function joinColumns(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  const fits = parts.every(
    ({ shape }) => typeof shape.at(-1) === "number" && sameShape(shape.slice(0, -1), first!.shape.slice(0, -1)),
  );
  if (!first || !fits) throw new Error(`joinColumns: ${parts.map(({ shape }) => formatShape(shape))} do not fit`);
  const width = parts.reduce((total, { shape }) => total + (shape.at(-1) as number), 0);
  return apply(joinColumnsOp, parts, [...first.shape.slice(0, -1), width], {});
}

const padColumnsOp: Op<{ before: number; after: number }> = {
  name: "padColumns",
  evaluate: ([x], { before, after }) => {
    const width = x!.shape.at(-1)!;
    const padded = before + width + after;
    const data = new Float64Array((x!.data.length / width) * padded);
    for (let from = 0, to = before; from < x!.data.length; from += width, to += padded) {
      for (let column = 0; column < width; column++) data[to + column] = x!.data[from + column]!;
    }
    return { shape: [...x!.shape.slice(0, -1), padded], data };
  },
  onnx: (writer, [x], { before, after }) => {
    const rest = Array(writer.rank(x!) - 1).fill(0);
    return writer.node("Pad", [x!, writer.integers([...rest, before, ...rest, after])]);
  },
  gradient: ({ inputs: [x], attributes: { before }, dy }) => [
    columns(dy, before, before + (x!.shape.at(-1) as number)),
  ],
};

/** Zeros before and after the columns of the last axis. */
export function padColumns(x: Tensor, before: number, after: number): Tensor {
  const width = x.shape.at(-1);
  if (typeof width !== "number") throw new Error(`padColumns: the width of ${formatShape(x.shape)} must be known`);
  return apply(padColumnsOp, [x], [...x.shape.slice(0, -1), before + width + after], { before, after });
}
