import type { Engine, FloatValue } from "../../src/engine/engine.ts";
import { float64Engine } from "../../src/engine/float64.ts";
import { elementCount, type Value } from "../../src/graph/tensor.ts";

/**
 * The float64 engine with its memory out of reach, as that of a graphics card is: the `data` of its
 * values is NaN, whatever they hold. What reads it without the engine reads NaN; what writes it
 * changes nothing.
 */
export function deviceEngine(): Engine {
  const host = float64Engine();
  /** The numbers behind the array that a value shows. */
  const memory = new WeakMap<ArrayBufferLike, Float64Array>();
  const shown = (shape: readonly number[], numbers: Float64Array): FloatValue => {
    const data = new Float64Array(numbers.length).fill(Number.NaN);
    memory.set(data.buffer, numbers);
    return { shape, data };
  };
  const zeros = (shape: readonly number[]) => shown(shape, new Float64Array(elementCount(shape)));
  /** The value with its numbers; the process's own memory is as it seems. */
  const behind = <V extends Value>(value: V): V => {
    const { buffer, byteOffset, length } = value.data;
    const start = byteOffset / Float64Array.BYTES_PER_ELEMENT;
    const numbers = memory.get(buffer)?.subarray(start, start + length);
    return numbers ? { ...value, data: numbers } : value;
  };
  const allBehind = <V extends Value>(values: Readonly<Record<string, V>>) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, behind(value)]));
  return {
    ...host,
    allocate: zeros,
    zeros,
    read: async (value) => (await host.read(behind(value))).slice(),
    write: (target, numbers) => host.write(behind(target), numbers),
    load: (target, read) => host.load(behind(target), read),
    fill: (target, number) => host.fill(behind(target), number),
    copyRows: (target, source, indices) => host.copyRows(behind(target), behind(source), indices),
    addRows: (target, source, indices) => host.addRows(behind(target), behind(source), indices),
    compile(program) {
      const executable = host.compile(program);
      return {
        ...executable,
        async run(inputs, outputs = {}) {
          const results = await executable.run(allBehind(inputs), allBehind(outputs));
          return Object.fromEntries(
            Object.entries(results).map(([name, { shape, data }]) => [
              name,
              outputs[name] ? { shape, data: outputs[name].data } : shown(shape, data as Float64Array),
            ]),
          );
        },
      };
    },
  };
}
