import { gradients } from "../gradient.ts";
import { defineProgram, type Program } from "../program.ts";
import { input, type Shape, type Tensor } from "../tensor.ts";

type Tensors = Record<string, Tensor>;

/** One use of the constructors under `ops/`, tested in every engine. */
export interface OpCase {
  /** The exports of `ops/` that the case is about. */
  readonly covers: readonly string[];
  readonly title: string;
  /** Shapes of the inputs. The input `labels`, if there is one, holds integers. */
  readonly inputs: Readonly<Record<string, Shape>>;
  readonly build: (inputs: Tensors) => Tensor;
  /** Values of float inputs lie in here; by default around zero. */
  readonly range?: readonly [number, number];
  /** The bound that labels are below. */
  readonly labelsBelow?: number;
  /** The symbolic lengths to run with. */
  readonly lengths?: readonly Readonly<Record<string, number>>[];
  /** Set where the gradient is meant to differ from the derivative. */
  readonly stopsGradient?: true;
}

/** Lengths for cases with the symbolic length `n`. */
export const lengths = [{ n: 3 }, { n: 1 }, { n: 20 }];

/**
 * Some outputs, their gradients for all float inputs, and the cotangents by which the outputs are
 * multiplied.
 */
export interface Differentiated {
  readonly inputs: Tensors;
  readonly outputs: Tensors;
  /** For each output the name of its cotangent among the inputs. */
  readonly cotangents: Readonly<Record<string, string>>;
  /** By input; an input that the outputs do not depend on is missing. */
  readonly gradients: Tensors;
}

/** Differentiates the outputs for all float inputs. */
export function differentiate(inputs: Tensors, outputs: Tensors): Differentiated {
  const cotangents = Object.fromEntries(Object.keys(outputs).map((name) => [name, `cotangent of ${name}`]));
  const all = { ...inputs };
  for (const [name, tensor] of Object.entries(outputs)) all[cotangents[name]!] = input(tensor.shape);
  const sources = Object.entries(inputs).filter(([, { type }]) => type === "float");
  const results = gradients(
    Object.entries(outputs).map(([name, tensor]) => [tensor, all[cotangents[name]!]!]),
    sources.map(([, tensor]) => tensor),
  );
  const named = sources.flatMap(([name], index) => (results[index] ? [[name, results[index]]] : []));
  return { inputs: all, outputs, cotangents, gradients: Object.fromEntries(named) };
}

/** The case's result and gradient, and the gradient with its own gradient. */
export function derivatives({ inputs, build }: OpCase): { first: Differentiated; second: Differentiated } {
  const leaves = Object.fromEntries(
    Object.entries(inputs).map(([name, shape]) => [name, input(shape, name === "labels" ? "int" : "float")]),
  );
  const first = differentiate(leaves, { result: build(leaves) });
  const gradientsByName = Object.entries(first.gradients).map(([name, tensor]) => [`gradient of ${name}`, tensor]);
  return { first, second: differentiate(first.inputs, Object.fromEntries(gradientsByName)) };
}

/** Result, gradient, and gradient of the gradient in one program. */
export function wholeProgram(opCase: OpCase): Program {
  const { first, second } = derivatives(opCase);
  const secondGradients = Object.entries(second.gradients).map(([name, tensor]) => [
    `second gradient of ${name}`,
    tensor,
  ]);
  const outputs = { ...first.outputs, ...second.outputs, ...Object.fromEntries(secondGradients) };
  return defineProgram(opCase.title, second.inputs, outputs);
}
