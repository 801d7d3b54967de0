import type { OnnxWriter } from "./onnx.ts";

/** A length known when the graph is built, or the name of one that is known only when it runs. */
export type Dimension = number | string;
export type Shape = readonly Dimension[];

/** Formats that weights are kept in but not computed with: see `ops/storage.ts`. */
export type StorageFormat = "bfloat16" | "float16" | "int4";

/** `float` is float32 in ONNX Runtime and float64 in the interpreter; `int` is int32 in both. */
export type ElementType = "float" | "int" | StorageFormat;

/** Data at run time: a row-major array and its shape. */
export interface Value {
  readonly shape: readonly number[];
  /**
   * 16-bit floats are their bit patterns; of 4-bit integers each byte holds two, the first in its
   * lower half.
   */
  readonly data: Float32Array | Float64Array | Int32Array | Uint16Array | Uint8Array;
  /** The meaning of the bits of a Uint16Array or Uint8Array. */
  readonly format?: StorageFormat;
}

/** The attributes of one use of an op, fixed when the graph is built. */
export type Attributes = Readonly<Record<string, unknown>>;

/**
 * A primitive operation: how to compute it, how to write it as ONNX, and its gradient as graph
 * nodes. Every op must have all three, so a missing rule is a compile error.
 */
export interface Op<A extends Attributes = Attributes> {
  readonly name: string;
  /** The float64 interpreter's implementation. */
  evaluate(inputs: readonly Value[], attributes: A): Value;
  /** Writes ONNX nodes and returns the name of the result. */
  onnx(writer: OnnxWriter, inputs: readonly string[], attributes: A): string;
  /**
   * Gradients for each input, undefined where there is none (integer inputs) or where it is not
   * wanted.
   */
  gradient(node: GradientContext<A>): (Tensor | undefined)[];
}

/**
 * The arguments of a gradient rule: one use of its op, the output `y` and its gradient `dy`, and
 * which inputs lead to what is differentiated.
 */
export interface GradientContext<A extends Attributes = Attributes> {
  readonly inputs: readonly Tensor[];
  readonly attributes: A;
  readonly y: Tensor;
  readonly dy: Tensor;
  readonly wanted: readonly boolean[];
}

/**
 * A node of the graph: the result of an op on other nodes, or an input (no op). Immutable; identity
 * is object identity.
 */
export interface Tensor {
  readonly shape: Shape;
  readonly type: ElementType;
  readonly op: Op | undefined;
  readonly inputs: readonly Tensor[];
  readonly attributes: Attributes;
}

/** A symbolic input of a program. */
export function input(shape: Shape, type: ElementType = "float"): Tensor {
  return { shape, type, op: undefined, inputs: [], attributes: {} };
}

/** Applies an op; `shape` is the result's. Used by the constructors under `ops/`. */
export function apply<A extends Attributes>(
  op: Op<A>,
  inputs: readonly Tensor[],
  shape: Shape,
  attributes: A,
  type: ElementType = "float",
): Tensor {
  return { shape, type, op: op as unknown as Op, inputs, attributes };
}

/** `[tokens, 64]`, for messages. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}

/** Elements in a run-time shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

export function isStorageFormat(type: ElementType): type is StorageFormat {
  return type !== "float" && type !== "int";
}

/** The axis counted from the front. */
export function axisOf(shape: Shape, axis: number): number {
  return axis < 0 ? axis + shape.length : axis;
}
