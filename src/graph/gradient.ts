import { add } from "./ops/elementwise.ts";
import { formatShape, sameShape, type Tensor } from "./tensor.ts";

/**
 * Reverse-mode differentiation: the gradient of `Σ outputs · cotangents` for each tensor of
 * `withRespectTo`, as graph nodes. These tensors count as independent of each other: nothing flows
 * through one of them to another behind it.
 *
 * @param outputs pairs of a tensor and the gradient of the loss for it, of the same shape.
 * @returns one tensor for each of `withRespectTo`; undefined where the outputs do not depend on it.
 */
export function gradients(
  outputs: readonly (readonly [output: Tensor, cotangent: Tensor])[],
  withRespectTo: readonly Tensor[],
): (Tensor | undefined)[] {
  const total = new Map<Tensor, Tensor>();
  const contribute = (tensor: Tensor, gradient: Tensor) => {
    if (!sameShape(tensor.shape, gradient.shape)) {
      const op = tensor.op?.name ?? "input";
      throw new Error(`gradient of ${op} ${formatShape(tensor.shape)} has shape ${formatShape(gradient.shape)}`);
    }
    const before = total.get(tensor);
    total.set(tensor, before ? add(before, gradient) : gradient);
  };
  for (const [output, cotangent] of outputs) contribute(output, cotangent);

  const sources = new Set(withRespectTo);
  const path = nodesBetween(
    sources,
    outputs.map(([output]) => output),
  );
  for (const node of [...path].reverse()) {
    const dy = total.get(node);
    if (!dy || !node.op || sources.has(node)) continue;
    const wanted = node.inputs.map((parent) => path.has(parent));
    const contributions = node.op.gradient({ inputs: node.inputs, attributes: node.attributes, y: node, dy, wanted });
    node.inputs.forEach((parent, index) => {
      const gradient = contributions[index];
      if (gradient && wanted[index]) contribute(parent, gradient);
    });
  }
  return withRespectTo.map((tensor) => total.get(tensor));
}

/**
 * The nodes that depend on `sources` and on which `outputs` depend, both included, in topological
 * order.
 */
function nodesBetween(sources: ReadonlySet<Tensor>, outputs: readonly Tensor[]): Set<Tensor> {
  const path = new Set<Tensor>();
  for (const node of topologicalOrder(outputs, sources)) {
    if (sources.has(node) || node.inputs.some((parent) => path.has(parent))) path.add(node);
  }
  return path;
}

/** All nodes that `outputs` need, parents first; the walk does not go past `boundary`. */
export function topologicalOrder(outputs: readonly Tensor[], boundary: ReadonlySet<Tensor> = new Set()): Tensor[] {
  const order: Tensor[] = [];
  const seen = new Set<Tensor>();
  const visit = (node: Tensor) => {
    if (seen.has(node)) return;
    seen.add(node);
    if (!boundary.has(node)) node.inputs.forEach(visit);
    order.push(node);
  };
  outputs.forEach(visit);
  return order;
}
