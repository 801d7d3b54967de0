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
   * @param inputs at least the program's inputs; others are ignored.
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

/** Runs programs and owns memory and threads. Nothing above it knows what is underneath. */
export interface Engine {
  /** What floats are here: ONNX Runtime computes in float32, the interpreter in float64. */
  readonly precision: "float32" | "float64";
  compile(program: Program): Executable;
  /** Float memory with undefined content. */
  allocate(shape: readonly number[]): FloatValue;
  /**
   * Gives memory from `allocate` or `run` back for reuse. The value must not be used afterwards.
   */
  release(value: FloatValue): void;
  /** Bytes held by values that have been allocated and not yet released. */
  readonly allocatedBytes: number;
  dispose(): void;
}

/**
 * What engines check before a result goes into memory given for it.
 *
 * @throws Error when the memory has another size than the result.
 */
export function checkOutput({ name }: Program, output: string, shape: readonly number[], given: FloatValue): void {
  if (given.data.length === elementCount(shape)) return;
  throw new Error(`program ${name}: output ${output} is [${shape}], memory given for [${given.shape}]`);
}

/** Rows `start` to `end` of a value as a view on the same memory. */
export function rows(value: FloatValue, start: number, end: number): FloatValue {
  const width = elementCount(value.shape.slice(1));
  return { shape: [end - start, ...value.shape.slice(1)], data: value.data.subarray(start * width, end * width) };
}

/** Integers for a program. */
export function integers(values: ArrayLike<number>, shape: readonly number[] = [values.length]): Value {
  return { shape, data: Int32Array.from(values) };
}
