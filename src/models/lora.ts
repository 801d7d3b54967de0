import { UserError } from "../errors.ts";
import { type Architecture, linearLayersOf } from "./architecture.ts";

/**
 * A low-rank adapter (Hu et al. 2022): a linear layer `y = x Wᵀ` becomes
 * `y = x Wᵀ + scale (x Aᵀ) Bᵀ`, W frozen.
 */
export interface LoraSettings {
  readonly rank: number;
  readonly alpha: number;
  /** Share of the adapter's inputs that is hidden while training. */
  readonly dropout: number;
  /**
   * True if the scale is alpha / √rank (rank-stabilised LoRA, Kalajdzievski 2023) instead of alpha
   * / rank.
   */
  readonly rslora: boolean;
  /**
   * The last parts of the layers' names, such as `q_proj` or `attn.c_proj`; the same in every
   * block.
   */
  readonly targetModules: readonly string[];
}

/** A linear layer that has an adapter, by the checkpoint's name of its matrix. */
export interface AdaptedLayer {
  readonly weight: string;
  /** Its name within a block. */
  readonly module: string;
  readonly outputs: number;
  readonly inputs: number;
  /** True if the matrix is stored as [inputs, outputs]: PEFT's `fan_in_fan_out`. */
  readonly transposed: boolean;
}

/** The factor on what an adapter adds. */
export function loraScale({ rank, alpha, rslora }: LoraSettings): number {
  return alpha / (rslora ? Math.sqrt(rank) : rank);
}

/**
 * True if one of PEFT's names means a layer: it is the layer's name within a block, the end of it,
 * or a longer name.
 */
export function isTarget(module: string, names: readonly string[]): boolean {
  return names.some((name) => module === name || module.endsWith(`.${name}`) || name.endsWith(`.${module}`));
}

/**
 * The linear layers of blocks, in order, by their names within a block: `self_attn.q_proj`, … The
 * head is none of them, as in PEFT.
 */
function modulesOf(architecture: Architecture): string[] {
  return [...new Set(architecture.layers.flatMap(({ block }) => linearLayersOf(block).map(({ module }) => module)))];
}

/**
 * Names for the linear layers that an adapter can be put on, in the order of a block: `q_proj`,
 * `k_proj`, …
 */
export function adaptableModules(architecture: Architecture): string[] {
  return targetNames(architecture, () => true);
}

/** The shortest names for the layers that are chosen by their names within a block. */
export function targetNames(architecture: Architecture, isChosen: (module: string) => boolean): string[] {
  const modules = modulesOf(architecture);
  const lastPart = (module: string) => module.split(".").at(-1)!;
  const alike = (module: string) => modules.filter((other) => lastPart(other) === lastPart(module));
  const chosen = modules.filter(isChosen);
  return [...new Set(chosen.map((module) => (alike(module).every(isChosen) ? lastPart(module) : module)))];
}

/**
 * The modules that a recipe means.
 *
 * @throws UserError for a name that is no linear layer of the model, listing those that are.
 */
export function resolveTargets(asked: "all-linear" | readonly string[], architecture: Architecture): string[] {
  if (asked === "all-linear") return adaptableModules(architecture);
  const modules = modulesOf(architecture);
  const unknown = asked.find((name) => !modules.some((module) => isTarget(module, [name])));
  if (unknown !== undefined) {
    const problem = `the model has no linear layer "${unknown}"`;
    const hint = `there are ${adaptableModules(architecture).join(", ")}`;
    throw new UserError(problem, { field: "lora.targetModules", hint });
  }
  return targetNames(architecture, (module) => isTarget(module, asked));
}

/**
 * The highest rank of a change to any of the layers: what an adapter has beyond it is of no use.
 */
export function fullRank(architecture: Architecture, targetModules: readonly string[]): number {
  const ranks = adaptedLayers(architecture, targetModules).map(({ outputs, inputs }) => Math.min(outputs, inputs));
  return Math.max(...ranks);
}

/**
 * PEFT's names of the two matrices of the layer that a weight,
 * `model.layers.0.self_attn.q_proj.weight`, belongs to.
 */
export function adapterNames(weight: string): { a: string; b: string } {
  const layer = `base_model.model.${weight.replace(/\.weight$/, "")}`;
  return { a: `${layer}.lora_A.weight`, b: `${layer}.lora_B.weight` };
}

/**
 * Every matrix of an adapter by PEFT's name: A [rank, in] and B [out, rank] of each layer, in the
 * order of the model's parameters.
 */
export function adapterShapes(
  architecture: Architecture,
  { rank, targetModules }: Pick<LoraSettings, "rank" | "targetModules">,
): Map<string, readonly number[]> {
  return new Map(
    adaptedLayers(architecture, targetModules).flatMap(({ weight, outputs, inputs }) => {
      const { a, b } = adapterNames(weight);
      return [
        [a, [rank, inputs]],
        [b, [outputs, rank]],
      ] as const;
    }),
  );
}

/** The layers that an adapter is put on; all linear layers of blocks if no modules are named. */
export function adaptedLayers(architecture: Architecture, targetModules?: readonly string[]): AdaptedLayer[] {
  return architecture.layers.flatMap(({ block }, index) =>
    linearLayersOf(block)
      .filter(({ module }) => !targetModules || isTarget(module, targetModules))
      .map(({ weight, ...layer }) => ({ ...layer, weight: weight(index) })),
  );
}
