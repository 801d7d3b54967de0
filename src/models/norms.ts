import { add, constant, divide, multiply, sqrt, square, subtract } from "../graph/ops/elementwise.ts";
import { mean } from "../graph/ops/reduce.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import { type ModelSection, type ParameterPlan, SectionParameters } from "./section-parameters.ts";

/** `x / √(mean(x²) + ε) · weight`, over the last axis (Zhang & Sennrich 2019). */
function rmsNorm(x: Tensor, weight: Tensor, epsilon: number): Tensor {
  return multiply(divide(x, sqrt(add(mean(square(x)), constant(epsilon)))), weight);
}

/**
 * RMSNorms of a model, each with its weight in checkpoints, `path` and `.weight`.
 *
 * @param options.offset is added to every weight: 1 in Gemma, whose weights are stored around 0
 */
export function rmsNorms(epsilon: number, { offset = 0 } = {}) {
  return (x: Tensor, parameters: SectionParameters, path: string): Tensor => {
    const weight = parameters.vector(path, `${path}.weight`, x.shape.at(-1) as number);
    return rmsNorm(x, offset === 0 ? weight : add(weight, constant(offset)), epsilon);
  };
}

/** `(x - mean(x)) / √(variance(x) + ε)`, over the last axis (Ba et al. 2016). */
export function standardized(x: Tensor, epsilon: number): Tensor {
  const centred = subtract(x, mean(x));
  return divide(centred, sqrt(add(mean(square(centred)), constant(epsilon))));
}

/**
 * LayerNorms of a model, each with its weight and bias in checkpoints, `path` and `.weight` or
 * `.bias`. A norm that two sections of a block use has another `name` in the second.
 */
export function layerNorms(epsilon: number) {
  return (x: Tensor, parameters: SectionParameters, path: string, name = path): Tensor => {
    const [weight, bias] = ["weight", "bias"].map((part) =>
      parameters.vector(`${name} ${part}`, `${path}.${part}`, x.shape.at(-1) as number),
    ) as [Tensor, Tensor];
    return add(multiply(standardized(x, epsilon), weight), bias);
  };
}

/** The last norm of a model as a section: x [rows, width] to hidden. */
export function finalNorm(
  plan: ParameterPlan,
  { width, place }: { width: number; place: string },
  norm: (x: Tensor, parameters: SectionParameters) => Tensor,
): ModelSection {
  const x = input(["rows", width]);
  const parameters = new SectionParameters(plan, () => place);
  return parameters.section({
    name: "final norm",
    inputs: { x },
    outputs: { hidden: norm(x, parameters) },
    saved: {},
  });
}
