import { widened } from "../graph/ops/storage.ts";
import { elementCount } from "../graph/tensor.ts";
import type { Memory } from "./engine.ts";

/** The memory of engines whose values lie in the memory of the process. */
export const hostMemory: Memory = {
  async read({ data }) {
    return data;
  },

  write({ data, shape }, numbers) {
    if (numbers.length !== data.length) throw new RangeError(`${numbers.length} numbers for [${shape}]`);
    data.set(numbers);
  },

  async load({ data }, read) {
    const into = data instanceof Float32Array ? data : new Float32Array(data.length);
    await read(into);
    if (into !== data) data.set(into);
  },

  fill({ data }, number) {
    data.fill(number);
  },

  copyRows(target, source, indices) {
    const width = elementCount(source.shape.slice(1));
    for (let row = 0; row < indices.length; row++) {
      const start = indices[row]! * width;
      const data = source.data.subarray(start, start + width);
      target.data.set(source.format ? widened({ shape: [width], data, format: source.format }) : data, row * width);
    }
  },

  // Plain code, because ONNX Runtime's scatter loses updates when indices repeat and threads share
  // the work.
  addRows(target, source, indices) {
    const width = elementCount(source.shape.slice(1));
    for (let row = 0; row < indices.length; row++) {
      const to = indices[row]! * width;
      const from = row * width;
      for (let column = 0; column < width; column++) target.data[to + column]! += source.data[from + column]!;
    }
  },
};
