import { gradients } from "./gradient.ts";
import { unbroadcast } from "./ops/elementwise.ts";
import { accumulate } from "./ops/matmul.ts";
import { defineProgram, type Program } from "./program.ts";
import { input, type Tensor } from "./tensor.ts";

type Tensors = Readonly<Record<string, Tensor>>;

/** A differentiable stretch of a model, from which a forward and a backward program are cut. */
export interface Section {
  readonly name: string;
  /** Tensors that flow through the model and have a gradient. */
  readonly inputs: Tensors;
  /** Tensors without a gradient: masks, tables, labels, frozen weights, another model's results. */
  readonly constants: Tensors;
  readonly parameters: Tensors;
  readonly outputs: Tensors;
  /**
   * Intermediate results that the forward program hands to the backward program; the rest is
   * computed again there.
   */
  readonly saved: Tensors;
}

/** Name of the gradient of an input, output or parameter in a backward program. */
export function gradientName(name: string): string {
  return `gradient of ${name}`;
}

/** The section's computation; with `save`, its saved tensors are outputs too. */
export function forwardProgram(section: Section, { save }: { save: boolean }): Program {
  checkNames(section);
  const { name, inputs, constants, parameters, outputs, saved } = section;
  return defineProgram(
    `${name} forward`,
    { ...inputs, ...constants, ...parameters },
    save ? { ...outputs, ...saved } : outputs,
  );
}

/**
 * The section's gradient. Its inputs are the forward program's, the saved tensors, the gradient of
 * each output, and the total so far of each parameter's gradient; its outputs are the gradients of
 * the inputs and the new totals, which may use the old totals' memory.
 *
 * @param options.accumulate inputs whose gradient is added to a total as well, because other
 * sections contribute to it
 * @param options.without inputs whose gradient is of no use
 */
export function backwardProgram(
  section: Section,
  options: { accumulate?: readonly string[]; without?: readonly string[] } = {},
): Program {
  const { name, inputs, constants, parameters, outputs, saved } = section;
  checkNames(section);
  const cotangents = Object.entries(outputs).map(([key, tensor]) => [key, tensor, input(tensor.shape)] as const);
  const sources = Object.entries({ ...inputs, ...parameters }).filter(([key]) => !options.without?.includes(key));
  const derivatives = gradients(
    cotangents.map(([, output, cotangent]) => [output, cotangent]),
    sources.map(([, tensor]) => tensor),
  );
  const totals: Record<string, Tensor> = {};
  const results: Record<string, Tensor> = {};
  sources.forEach(([key, tensor], index) => {
    const derivative = derivatives[index];
    if (!derivative) return;
    const shaped = unbroadcast(derivative, tensor.shape);
    const accumulates = key in parameters || options.accumulate?.includes(key);
    if (accumulates) totals[gradientName(key)] = input(tensor.shape);
    results[gradientName(key)] = accumulates ? accumulate(totals[gradientName(key)]!, shaped) : shaped;
  });
  const givenGradients = Object.fromEntries(cotangents.map(([key, , cotangent]) => [gradientName(key), cotangent]));
  return defineProgram(
    `${name} backward`,
    { ...inputs, ...constants, ...parameters, ...saved, ...givenGradients, ...totals },
    results,
  );
}

/**
 * All must differ in name, because programs tell their inputs and outputs apart by name and
 * gradients are named after them.
 */
function checkNames({ name, inputs, constants, parameters, outputs, saved }: Section): void {
  const all = [inputs, constants, parameters, outputs, saved].flatMap(Object.keys);
  const repeated = all.find((key, index) => all.indexOf(key) !== index);
  if (repeated) throw new Error(`section ${name}: two tensors are called ${repeated}`);
}
