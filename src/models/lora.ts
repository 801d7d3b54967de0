import { UserError } from "../errors.ts";
import type { LlamaConfiguration } from "../families/configuration.ts";
import { parameterShapes } from "./parameter-shapes.ts";

/** A low-rank adapter (Hu et al. 2022): a linear layer `y = x Wᵀ` becomes `y = x Wᵀ + scale (x Aᵀ) Bᵀ`, W frozen. */
export interface LoraSettings {
  readonly rank: number;
  readonly alpha: number;
  /** Share of the adapter's inputs that is hidden while training. */
  readonly dropout: number;
  /** Whether the scale is alpha / √rank (rank-stabilised LoRA, Kalajdzievski 2023) instead of alpha / rank. */
  readonly rslora: boolean;
  /** The last parts of the layers' names, such as `q_proj`; the same in every block. */
  readonly targetModules: readonly string[];
}

/** The factor on what an adapter adds. */
export function loraScale({ rank, alpha, rslora }: LoraSettings): number {
  return alpha / (rslora ? Math.sqrt(rank) : rank);
}

/** The linear layers that an adapter can be put on, in the order of a block: `q_proj`, `k_proj`, … The head is none of them, as in PEFT. */
export function adaptableModules(configuration: LlamaConfiguration): string[] {
  return [...parameterShapes(configuration).keys()].flatMap(
    (name) => /^model\.layers\.0\..*?(\w+_proj)\.weight$/.exec(name)?.[1] ?? [],
  );
}

/**
 * The modules that a recipe means.
 *
 * @throws UserError for a name that is no linear layer of the model, listing those that are.
 */
export function resolveTargets(asked: "all-linear" | readonly string[], configuration: LlamaConfiguration): string[] {
  const available = adaptableModules(configuration);
  if (asked === "all-linear") return available;
  const unknown = asked.find((name) => !available.includes(name));
  if (unknown !== undefined) {
    const problem = `the model has no linear layer "${unknown}"`;
    throw new UserError(problem, { field: "lora.targetModules", hint: `there are ${available.join(", ")}` });
  }
  return available.filter((name) => asked.includes(name));
}

/** The highest rank of a change to any of the layers: what an adapter has beyond it is of no use. */
export function fullRank(configuration: LlamaConfiguration, targetModules: readonly string[]): number {
  return Math.max(...adaptedWeights(configuration, targetModules).map(([, shape]) => Math.min(...shape)));
}

/** PEFT's names of the two matrices of the layer that a weight, `model.layers.0.self_attn.q_proj.weight`, belongs to. */
export function adapterNames(weight: string): { a: string; b: string } {
  const layer = `base_model.model.${weight.replace(/\.weight$/, "")}`;
  return { a: `${layer}.lora_A.weight`, b: `${layer}.lora_B.weight` };
}

/** Every matrix of an adapter by PEFT's name: A [rank, in] and B [out, rank] of each layer, in the order of the model's parameters. */
export function adapterShapes(
  configuration: LlamaConfiguration,
  { rank, targetModules }: Pick<LoraSettings, "rank" | "targetModules">,
): Map<string, readonly number[]> {
  return new Map(
    adaptedWeights(configuration, targetModules).flatMap(([name, [outputs, inputs]]) => {
      const { a, b } = adapterNames(name);
      return [
        [a, [rank, inputs]],
        [b, [outputs, rank]],
      ] as const;
    }),
  );
}

/** The weights [out, in] of the layers that an adapter is put on, by the checkpoint's names. */
function adaptedWeights(
  configuration: LlamaConfiguration,
  targetModules: readonly string[],
): (readonly [name: string, shape: readonly [number, number]])[] {
  return [...parameterShapes(configuration)].flatMap(([name, shape]) => {
    const module = /(\w+)\.weight$/.exec(name)?.[1];
    const [outputs, inputs] = shape;
    return inputs !== undefined && targetModules.includes(module!) ? [[name, [outputs!, inputs]] as const] : [];
  });
}
