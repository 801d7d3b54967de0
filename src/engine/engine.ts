import type { Program } from "../graph/program.ts";
import { elementCount, type Value } from "../graph/tensor.ts";

export type FloatArray = Float32Array | Float64Array;

/** A float array and its shape, as engines hand it out. */
export interface FloatValue extends Value {
  readonly data: FloatArray;
}

/** A program that an engine has made ready to run. */
export interface Executable {
  readonly program: Program;
  /**
   * Runs the program.
   *
   * @param inputs at least the program's inputs, in the engine's memory or the process's own;
   * others are ignored.
   * @param outputs memory for results, which may be an input's own memory where no later node reads
   * that input (accumulation). Results not named here are put into memory from the engine, to be
   * given back with `release`.
   */
  run(
    inputs: Readonly<Record<string, Value>>,
    outputs?: Readonly<Record<string, FloatValue>>,
  ): Promise<Record<string, FloatValue>>;
  dispose(): void;
}

/**
 * The numbers of values, besides what programs do with them. The memory may be a device's: code
 * above the engine reads and writes values by these methods, never by their `data`.
 */
export interface Memory {
  /** The numbers of a value. They are good until the value is written or released. */
  read(value: FloatValue): Promise<FloatArray>;
  /**
   * Replaces all numbers of a value.
   *
   * @throws RangeError unless there are as many as the value has elements.
   */
  write(target: FloatValue, numbers: ArrayLike<number>): void;
  /**
   * Has a reader fill a value with float32 numbers, as those of files are: into the value's own
   * memory where that can be, without a copy.
   */
  load(target: FloatValue, read: (into: Float32Array) => Promise<unknown>): Promise<void>;
  /** Sets all elements of a value to one number. */
  fill(target: FloatValue, number: number): void;
  /**
   * Copies row `indices[i]` of `source` to row `i` of `target`. The source may be in any storage
   * format; the copies are floats.
   */
  copyRows(target: FloatValue, source: Value, indices: ArrayLike<number>): void;
  /** Adds row `i` of `source` to row `indices[i]` of `target`. Repeated indices add up in order. */
  addRows(target: FloatValue, source: FloatValue, indices: ArrayLike<number>): void;
}

/** Runs programs and owns memory and threads. Nothing above it knows what is underneath. */
export interface Engine extends Memory {
  /** The precision of floats: ONNX Runtime computes in float32, the interpreter in float64. */
  readonly precision: "float32" | "float64";
  compile(program: Program): Executable;
  /** Float memory with undefined content. */
  allocate(shape: readonly number[]): FloatValue;
  /** Float memory with zeros. What stays untouched costs nothing, if the system can do that. */
  zeros(shape: readonly number[]): FloatValue;
  /**
   * Gives memory from `allocate` or `run` back for reuse. The value must not be used afterwards.
   */
  release(value: FloatValue): void;
  /** Bytes held by values that have been allocated and not yet released. */
  readonly allocatedBytes: number;
  dispose(): void;
}

/**
 * Checks the memory that is given for a result.
 *
 * @throws Error when the memory has another size than the result.
 */
export function checkOutput({ name }: Program, output: string, shape: readonly number[], given: FloatValue): void {
  if (given.data.length === elementCount(shape)) return;
  throw new Error(`program ${name}: output ${output} is [${shape}], memory given for [${given.shape}]`);
}

/** Rows `start` to `end` of a value as a view on the same memory; not of packed numbers. */
export function rows<Item extends Value>(value: Item, start: number, end: number): Item {
  const width = elementCount(value.shape.slice(1));
  const data = value.data.subarray(start * width, end * width);
  return { ...value, shape: [end - start, ...value.shape.slice(1)], data };
}

/** Row `index` of a value as a view on the same memory, without the first axis. */
export function row<Item extends Value>(value: Item, index: number): Item {
  return { ...rows(value, index, index + 1), shape: value.shape.slice(1) };
}

/** New memory of an engine with these numbers. */
export function upload(engine: Engine, shape: readonly number[], numbers: ArrayLike<number>): FloatValue {
  const value = engine.allocate(shape);
  engine.write(value, numbers);
  return value;
}

/** Integers for a program. */
export function integers(values: ArrayLike<number>, shape: readonly number[] = [values.length]): Value {
  return { shape, data: Int32Array.from(values) };
}
