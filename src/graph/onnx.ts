import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataType as DataType,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from "onnx-buf";
import type { Program } from "./program.ts";
import type { ElementType, Tensor } from "./tensor.ts";

/** The first with 4-bit integers. */
const opsetVersion = 21n;
const irVersion = 10n;

/** A program as an ONNX model, and the model's names for the program's outputs. */
export interface OnnxModel {
  bytes: Uint8Array;
  outputNames: ReadonlyMap<string, string>;
}

/**
 * Writes a program as an ONNX model: float32, int32 for integers, symbolic lengths as dynamic
 * dimensions.
 */
export function writeOnnx(program: Program): OnnxModel {
  const writer = new OnnxWriter(program.name);
  const names = new Map<Tensor, string>();
  for (const [name, tensor] of program.inputs) names.set(tensor, writer.input(name, tensor));
  for (const node of program.nodes) {
    if (names.has(node)) continue;
    const operands = node.inputs.map((parent) => names.get(parent)!);
    const name = node.op!.onnx(writer, operands, node.attributes);
    writer.setRank(name, node.shape.length);
    names.set(node, name);
  }
  const outputNames = new Map<string, string>();
  for (const [output, tensor] of program.outputs) {
    const name = names.get(tensor)!;
    // ONNX wants outputs to be distinct results of nodes.
    const distinct = program.inputs.has(name) || [...outputNames.values()].includes(name);
    outputNames.set(output, writer.output(distinct ? writer.node("Identity", [name]) : name, tensor));
  }
  return { bytes: writer.finish(), outputNames };
}

/**
 * Collects nodes and constants; ops write themselves through it. Names of its own start with %,
 * unlike those of inputs.
 */
export class OnnxWriter {
  readonly #graph: GraphProto;
  readonly #ranks = new Map<string, number>();
  readonly #constants = new Map<string, string>();
  #count = 0;

  constructor(name: string) {
    this.#graph = create(GraphProtoSchema, { name });
  }

  /** Adds a node with one result and returns the result's name. */
  node(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, number | string | readonly number[]> = {},
  ): string {
    return this.#add(opType, inputs, attributes, 1)[0]!;
  }

  /** Cuts the last axis into parts of these lengths. */
  split(x: string, lengths: readonly number[]): string[] {
    return this.#add("Split", [x, this.integers(lengths)], { axis: -1 }, lengths.length);
  }

  /** The rank of an operand of the op being written. */
  rank(name: string): number {
    const rank = this.#ranks.get(name);
    if (rank === undefined) throw new Error(`the rank of ${name} is not known`);
    return rank;
  }

  setRank(name: string, rank: number): void {
    this.#ranks.set(name, rank);
  }

  /** A tensor of another type as floats. */
  toFloat(x: string): string {
    return this.node("Cast", [x], { to: DataType.FLOAT });
  }

  /** True if each element of a float tensor is not 0. */
  toBoolean(x: string): string {
    return this.node("Cast", [x], { to: DataType.BOOL });
  }

  /** A float tensor of whole numbers as integers, for indices. */
  toInteger(x: string): string {
    return this.node("Cast", [x], { to: DataType.INT64 });
  }

  /** The indices that sort the last axis in ascending order, ties in their order. */
  order(x: string): string {
    const length = this.node("Shape", [x], { start: -1 });
    const [, indices] = this.#add("TopK", [x, length], { axis: -1, largest: 0, sorted: 1 }, 2);
    return indices!;
  }

  /** A float constant without axes. */
  scalar(value: number): string {
    return this.#constant(`f${value}`, () => ({ dataType: DataType.FLOAT, floatData: [value] }));
  }

  /** A one-dimensional int64 constant, for shapes and axes. */
  integers(values: readonly number[]): string {
    return this.#constant(`i${values}`, () => ({
      dims: [BigInt(values.length)],
      dataType: DataType.INT64,
      int64Data: values.map(BigInt),
    }));
  }

  input(name: string, tensor: Tensor): string {
    this.#graph.input.push(valueInfo(name, tensor));
    this.setRank(name, tensor.shape.length);
    return name;
  }

  output(name: string, tensor: Tensor): string {
    this.#graph.output.push(valueInfo(name, tensor));
    return name;
  }

  finish(): Uint8Array {
    const model = create(ModelProtoSchema, {
      irVersion,
      producerName: "tokenwise",
      opsetImport: [{ domain: "", version: opsetVersion }],
      graph: this.#graph,
    });
    return toBinary(ModelProtoSchema, model);
  }

  #add(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, number | string | readonly number[]>,
    results: number,
  ): string[] {
    const output = Array.from({ length: results }, () => `%${this.#count++}`);
    const attribute = Object.entries(attributes).map(([name, value]) => attributeProto(name, value));
    this.#graph.node.push(create(NodeProtoSchema, { opType, input: [...inputs], output, attribute }));
    return output;
  }

  #constant(
    key: string,
    make: () => { dims?: bigint[]; dataType: DataType; floatData?: number[]; int64Data?: bigint[] },
  ): string {
    const known = this.#constants.get(key);
    if (known) return known;
    const name = `%c${this.#constants.size}`;
    this.#graph.initializer.push(create(TensorProtoSchema, { name, ...make() }));
    this.#constants.set(key, name);
    return name;
  }
}

const dataTypes: Record<ElementType, DataType> = {
  float: DataType.FLOAT,
  int: DataType.INT32,
  bfloat16: DataType.BFLOAT16,
  float16: DataType.FLOAT16,
  int4: DataType.INT4,
};

function attributeProto(name: string, value: number | string | readonly number[]): AttributeProto {
  if (typeof value === "number")
    return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) });
  if (typeof value === "string") {
    return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  }
  return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: value.map(BigInt) });
}

function valueInfo(name: string, { shape, type }: Tensor) {
  const dim = shape.map((dimension) => ({
    value:
      typeof dimension === "number"
        ? ({ case: "dimValue", value: BigInt(dimension) } as const)
        : ({ case: "dimParam", value: dimension } as const),
  }));
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: "tensorType", value: { elemType: dataTypes[type], shape: { dim } } } },
  });
}
