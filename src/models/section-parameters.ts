import { multiply, scale } from "../graph/ops/elementwise.ts";
import { linear, matmul } from "../graph/ops/matmul.ts";
import { blocksOf, computable } from "../graph/ops/storage.ts";
import type { Section } from "../graph/section.ts";
import { input, type StorageFormat, type Tensor } from "../graph/tensor.ts";
import { adapterNames, isTarget, type LoraSettings, loraScale } from "./lora.ts";
import { scalesName } from "./parameters.ts";

/** The formats in which a transformer keeps its parameters, and which of them train. */
export interface ParameterPlan {
  /** The format of the blocks' matrices; everything else is floats. */
  readonly matrices: StorageFormat | "float";
  /** All parameters, none, or adapters on frozen ones. */
  readonly trained: "all" | "none" | LoraSettings;
  /** True if the adapters' inputs are masked, as in training with dropout. */
  readonly dropout: boolean;
}

/** All parameters are floats and train. */
export const plainPlan: ParameterPlan = { matrices: "float", trained: "all", dropout: false };

/** Names of what belongs to the linear layer `query`, say. */
const layerParts = {
  weight: (layer: string) => `${layer}Weight`,
  scales: (layer: string) => `${layer}Scales`,
  bias: (layer: string) => `${layer}Bias`,
  loraA: (layer: string) => `${layer}LoraA`,
  loraB: (layer: string) => `${layer}LoraB`,
  mask: (layer: string) => `${layer}Mask`,
};

/** A parameter as checkpoints hold it. */
export interface StoredParameter {
  /** Its name in a layer; layers count from 0. */
  name(layer: number): string;
  readonly shape: readonly number[];
}

/** A linear layer, on which an adapter can be put. */
export interface LinearLayer {
  /** Its name within a block, such as `self_attn.q_proj`. */
  readonly module: string;
  /** The checkpoint's name of its matrix in a layer. */
  weight(layer: number): string;
  readonly outputs: number;
  readonly inputs: number;
  /** True if the matrix is stored as [inputs, outputs]. */
  readonly transposed: boolean;
}

/**
 * A section with parameters. Those that train are its `parameters`; frozen ones and adapters' masks
 * are among its constants.
 */
export interface ModelSection extends Section {
  /** The model's own parameters, without adapters, in order. */
  readonly stored: readonly StoredParameter[];
  readonly linearLayers: readonly LinearLayer[];
  /** The checkpoint's name of each of the section's parameters, trained or frozen, in a layer. */
  readonly names: Readonly<Record<string, (layer: number) => string>>;
  /** Names of the adapters' masks. */
  readonly masks: readonly string[];
}

/**
 * Collects the parameters that a section's computation asks for: each is declared once, with its
 * name and shape in checkpoints, and becomes an input of the graph as the plan wants it, trained or
 * frozen in some format.
 */
export class SectionParameters {
  readonly #plan: ParameterPlan;
  readonly #place: (layer: number) => string;
  readonly #trained: Record<string, Tensor> = {};
  readonly #frozen: Record<string, Tensor> = {};
  readonly #masks: Record<string, Tensor> = {};
  readonly #names: Record<string, (layer: number) => string> = {};
  readonly #stored: StoredParameter[] = [];
  readonly #linearLayers: LinearLayer[] = [];

  /**
   * @param place what stands before the names of the section's parameters in a layer, such as
   * `model.layers.0.`
   */
  constructor(plan: ParameterPlan, place: (layer: number) => string) {
    this.#plan = plan;
    this.#place = place;
  }

  /**
   * A parameter of one axis: `name` in the graph, `path` behind the section's place in checkpoints.
   */
  vector(name: string, path: string, length: number): Tensor {
    return this.#parameter(name, path, [length]);
  }

  /**
   * A linear layer, x [tokens, inputs] to [tokens, outputs], with an adapter where the plan has one
   * for it.
   *
   * @param module behind the section's place in checkpoints, such as `self_attn.q_proj`
   * @param options.transposed whether checkpoints hold the matrix as [inputs, outputs] instead of
   * [outputs, inputs]
   */
  linear(
    name: string,
    module: string,
    outputs: number,
    inputs: number,
    { bias = false, transposed = false } = {},
  ): (x: Tensor) => Tensor {
    const format = this.#plan.matrices;
    const shape = transposed ? [inputs, outputs] : [outputs, inputs];
    const stored = this.#parameter(layerParts.weight(name), `${module}.weight`, shape, format);
    const weightName = this.#names[layerParts.weight(name)]!;
    this.#linearLayers.push({ module, weight: weightName, outputs, inputs, transposed });
    const scales = format === "int4" ? this.#scales(name, weightName, shape as [number, number]) : undefined;
    const weight = computable(stored, format, scales);
    const shift = bias ? this.#parameter(layerParts.bias(name), `${module}.bias`, [outputs]) : undefined;
    const adapter = this.#adapter(name, this.#linearLayers.at(-1)!);
    return (x) => {
      const base = transposed ? matmul(x, weight, shift && { plus: shift }) : linear(x, weight, shift);
      return adapter ? adapter(x, base) : base;
    };
  }

  /** The section with these parameters. */
  section(section: Omit<Section, "parameters" | "constants"> & { constants?: Section["constants"] }): ModelSection {
    return {
      ...section,
      constants: { ...section.constants, ...this.#frozen, ...this.#masks },
      parameters: this.#trained,
      stored: this.#stored,
      linearLayers: this.#linearLayers,
      names: this.#names,
      masks: Object.keys(this.#masks),
    };
  }

  /** Trained and frozen parameters, as inputs of a program. */
  get tensors(): Readonly<Record<string, Tensor>> {
    return { ...this.#trained, ...this.#frozen };
  }

  #adapter(
    name: string,
    { module, weight, outputs, inputs }: LinearLayer,
  ): ((x: Tensor, base: Tensor) => Tensor) | undefined {
    const { trained, dropout } = this.#plan;
    if (typeof trained === "string" || !isTarget(module, trained.targetModules)) return undefined;
    const a = input([trained.rank, inputs]);
    const b = input([outputs, trained.rank]);
    this.#trained[layerParts.loraA(name)] = a;
    this.#trained[layerParts.loraB(name)] = b;
    this.#names[layerParts.loraA(name)] = (layer) => adapterNames(weight(layer)).a;
    this.#names[layerParts.loraB(name)] = (layer) => adapterNames(weight(layer)).b;
    return (x, base) => {
      const mask = dropout ? input([x.shape[0]!, inputs]) : undefined;
      if (mask) this.#masks[layerParts.mask(name)] = mask;
      const low = linear(mask ? multiply(x, mask) : x, a);
      return matmul(scale(low, loraScale(trained)), b, { transposeB: true, plus: base });
    };
  }

  #parameter(name: string, path: string, shape: readonly number[], format: StorageFormat | "float" = "float"): Tensor {
    const inLayer = (layer: number) => `${this.#place(layer)}${path}`;
    this.#stored.push({ name: inLayer, shape });
    return this.#input(name, inLayer, input(shape, format));
  }

  /** The scales of a quantised matrix, which no checkpoint holds. */
  #scales(name: string, weight: (layer: number) => string, [rows, columns]: readonly [number, number]): Tensor {
    const scales = input([rows, blocksOf(columns)]);
    return this.#input(layerParts.scales(name), (layer) => scalesName(weight(layer)), scales);
  }

  #input(name: string, inLayer: (layer: number) => string, tensor: Tensor): Tensor {
    if (name in this.#names) throw new Error(`a section has two parameters ${name}`);
    this.#names[name] = inLayer;
    (this.#plan.trained === "all" ? this.#trained : this.#frozen)[name] = tensor;
    return tensor;
  }
}
