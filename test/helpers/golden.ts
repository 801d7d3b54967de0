/** The golden models of `test/golden/architectures`. */
import type { Parameters } from "../../src/models/parameters.ts";

/**
 * A loss and, for each parameter's gradient, its norm and its projection on cos(i) over the flat
 * index i.
 */
export interface Gradients {
  loss: number;
  parameters: Record<string, { norm: number; probe: number }>;
}

/**
 * How far each gradient is from the golden one, relative to the latter's norm.
 *
 * @throws Error where there are other gradients than golden ones.
 */
export function gradientErrors(gradients: Parameters, { parameters }: Gradients): Map<string, number> {
  if (String([...gradients.keys()].sort()) !== String(Object.keys(parameters).sort())) {
    throw new Error(`gradients of ${[...gradients.keys()]}, expected of ${Object.keys(parameters)}`);
  }
  return new Map(
    Object.entries(parameters).map(([name, { norm, probe }]) => {
      const data = Float64Array.from(gradients.get(name)!.data);
      const actualNorm = Math.hypot(...data);
      const actualProbe = data.reduce((sum, value, index) => sum + value * Math.cos(index), 0);
      return [name, Math.max(Math.abs(actualNorm - norm), Math.abs(actualProbe - probe)) / norm];
    }),
  );
}
