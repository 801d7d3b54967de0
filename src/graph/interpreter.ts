import { bindLengths, type Program } from "./program.ts";
import type { Tensor, Value } from "./tensor.ts";

/**
 * Runs a program in plain TypeScript and float64: the oracle of every op, and the engine of the
 * objectives, which work on short vectors.
 *
 * @param inputs at least the program's inputs; others are ignored.
 * @throws Error when an input is missing or does not have its declared shape.
 */
export function interpret(program: Program, inputs: Readonly<Record<string, Value>>): Record<string, Value> {
  const values = new Map<Tensor, Value>();
  bindLengths(program, inputs);
  for (const [name, tensor] of program.inputs) values.set(tensor, inputs[name]!);
  for (const node of program.nodes) {
    if (values.has(node)) continue;
    const operands = node.inputs.map((parent) => values.get(parent)!);
    values.set(node, node.op!.evaluate(operands, node.attributes));
  }
  return Object.fromEntries([...program.outputs].map(([name, tensor]) => [name, values.get(tensor)!]));
}
