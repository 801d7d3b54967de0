import { topologicalOrder } from "./gradient.ts";
import { formatShape, isStorageFormat, type Shape, type Tensor, type Value } from "./tensor.ts";

/** A computation ready for an engine: named inputs to named outputs. */
export interface Program {
  readonly name: string;
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** Every node the outputs need, parents first; the inputs are its leaves. */
  readonly nodes: readonly Tensor[];
}

/**
 * Cuts a program out of a graph. Any node may be declared an input, also an intermediate one: what
 * lies behind it is then not computed. Inputs that the outputs do not need are left out.
 *
 * @throws Error when the outputs need a leaf that has no name.
 */
export function defineProgram(
  name: string,
  inputs: Readonly<Record<string, Tensor>>,
  outputs: Readonly<Record<string, Tensor>>,
): Program {
  const boundary = new Set(Object.values(inputs));
  const nodes = topologicalOrder(Object.values(outputs), boundary);
  const reached = new Set(nodes);
  for (const node of nodes) {
    if (!node.op && !boundary.has(node)) throw new Error(`program ${name}: an input is not named`);
  }
  const used = Object.entries(inputs).filter(([, tensor]) => reached.has(tensor));
  return { name, inputs: new Map(used), outputs: new Map(Object.entries(outputs)), nodes };
}

/**
 * The symbolic lengths of a program for given inputs.
 *
 * @throws Error when an input is missing, or its shape is not the declared one.
 */
export function bindLengths(program: Program, inputs: Readonly<Record<string, Value>>): Map<string, number> {
  const lengths = new Map<string, number>();
  for (const [name, tensor] of program.inputs) {
    const shape = inputs[name]?.shape;
    if (!shape) throw new Error(`program ${program.name}: input ${name} is missing`);
    if (!fits(tensor.shape, shape, lengths)) {
      throw new Error(
        `program ${program.name}: input ${name} is ${formatShape(shape)}, expected ${formatShape(tensor.shape)}`,
      );
    }
    const format = inputs[name]!.format ?? "plain";
    const expected = isStorageFormat(tensor.type) ? tensor.type : "plain";
    if (format !== expected)
      throw new Error(`program ${program.name}: input ${name} is ${format}, expected ${expected} numbers`);
  }
  return lengths;
}

/** True if a run-time shape has the declared lengths. Binds symbolic ones. */
function fits(declared: Shape, shape: readonly number[], lengths: Map<string, number>): boolean {
  if (declared.length !== shape.length) return false;
  return declared.every((dimension, axis) => {
    const length = shape[axis]!;
    if (typeof dimension === "number") return dimension === length;
    if (!lengths.has(dimension)) lengths.set(dimension, length);
    return lengths.get(dimension) === length;
  });
}

/** The shape that each output of a program takes for the given inputs. */
export function outputShapes(program: Program, inputs: Readonly<Record<string, Value>>): Map<string, number[]> {
  const lengths = bindLengths(program, inputs);
  const resolve = (dimension: number | string) => {
    const length = typeof dimension === "number" ? dimension : lengths.get(dimension);
    if (length === undefined) throw new Error(`program ${program.name}: no input has the length ${dimension}`);
    return length;
  };
  return new Map([...program.outputs].map(([name, tensor]) => [name, tensor.shape.map(resolve)]));
}
