import { multiply, scale } from "../graph/ops/elementwise.ts";
import { linear, matmul } from "../graph/ops/matmul.ts";
import { blocksOf, computable } from "../graph/ops/storage.ts";
import { input, type StorageFormat, type Tensor } from "../graph/tensor.ts";
import { type LoraSettings, loraScale } from "./lora.ts";

/** How a transformer keeps its weights, and which of them train. */
export interface WeightPlan {
  /** The format of the blocks' matrices; everything else is floats. */
  readonly matrices: StorageFormat | "float";
  /** All weights, none, or adapters on frozen ones. */
  readonly trained: "all" | "none" | LoraSettings;
  /** Whether the adapters' inputs are masked, as in training with dropout. */
  readonly dropout: boolean;
}

/** All weights are floats and train. */
export const plainWeights: WeightPlan = { matrices: "float", trained: "all", dropout: false };

/** Names of what belongs to the linear layer `query`, say. */
export const layerParts = {
  weight: (layer: string) => `${layer}Weight`,
  scales: (layer: string) => `${layer}Scales`,
  bias: (layer: string) => `${layer}Bias`,
  loraA: (layer: string) => `${layer}LoraA`,
  loraB: (layer: string) => `${layer}LoraB`,
  mask: (layer: string) => `${layer}Mask`,
};

/** The weights that a section's computation asks for, declared as the plan wants them: trained, or frozen in some format. */
export class SectionWeights {
  /** What trains. */
  readonly parameters: Record<string, Tensor> = {};
  /** What does not. */
  readonly frozen: Record<string, Tensor> = {};
  /** Masks of adapters' inputs by layer, [tokens, in]: 0, or 1 / (1 - dropout). */
  readonly masks: Record<string, Tensor> = {};
  readonly #plan: WeightPlan;
  readonly #modules: Readonly<Record<string, string>>;

  /** @param modules the checkpoint's name of each linear layer, such as `self_attn.q_proj` for `query` */
  constructor(plan: WeightPlan, modules: Readonly<Record<string, string>>) {
    this.#plan = plan;
    this.#modules = modules;
  }

  /** A weight of one axis. */
  vector(name: string, length: number): Tensor {
    return this.#weight(name, [length]);
  }

  /** A linear layer, x [tokens, inputs] to [tokens, outputs], with an adapter where the plan has one for it. */
  linear(name: string, outputs: number, inputs: number, { bias = false } = {}): (x: Tensor) => Tensor {
    const format = this.#plan.matrices;
    const stored = this.#weight(layerParts.weight(name), [outputs, inputs], format);
    const scales = format === "int4" ? this.#weight(layerParts.scales(name), [outputs, blocksOf(inputs)]) : undefined;
    const weight = computable(stored, format, scales);
    const shift = bias ? this.#weight(layerParts.bias(name), [outputs]) : undefined;
    const adapter = this.#adapter(name, outputs, inputs);
    return (x) => {
      const base = linear(x, weight, shift);
      return adapter ? adapter(x, base) : base;
    };
  }

  #adapter(name: string, outputs: number, inputs: number): ((x: Tensor, base: Tensor) => Tensor) | undefined {
    const { trained, dropout } = this.#plan;
    const module = this.#modules[name]!.split(".").at(-1)!;
    if (typeof trained === "string" || !trained.targetModules.includes(module)) return undefined;
    const a = input([trained.rank, inputs]);
    const b = input([outputs, trained.rank]);
    this.parameters[layerParts.loraA(name)] = a;
    this.parameters[layerParts.loraB(name)] = b;
    return (x, base) => {
      const mask = dropout ? input([x.shape[0]!, inputs]) : undefined;
      if (mask) this.masks[layerParts.mask(name)] = mask;
      const low = linear(mask ? multiply(x, mask) : x, a);
      return matmul(scale(low, loraScale(trained)), b, { transposeB: true, plus: base });
    };
  }

  #weight(name: string, shape: readonly number[], format: StorageFormat | "float" = "float"): Tensor {
    const tensor = input(shape, format);
    (this.#plan.trained === "all" ? this.parameters : this.frozen)[name] = tensor;
    return tensor;
  }
}
