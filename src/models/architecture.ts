import { linear } from "../graph/ops/matmul.ts";
import type { Section } from "../graph/section.ts";
import { input, type Tensor, type Value } from "../graph/tensor.ts";
import type { ModelConfiguration } from "./configuration.ts";
import type { ParameterValues } from "./parameters.ts";
import type { Rotary } from "./rotary.ts";
import type { LinearLayer, ModelSection, ParameterPlan, StoredParameter } from "./section-parameters.ts";

/**
 * One kind of block. Attention has its own section because it runs once per packed row, on views of
 * the flat token arrays; everything else runs once over all tokens, without padding.
 */
export interface Block {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headWidth: number;
  readonly sections: {
    /**
     * x [tokens, width] to query, key and value; with rotary positions, constants cos and sin
     * [tokens, 1, headWidth].
     */
    readonly attentionInput: ModelSection;
    /**
     * query, key, value of one row and its mask [length, length] to context
     * [length, heads * headWidth].
     */
    readonly attention: Section;
    /** x and context to output [tokens, width]: the rest of the block. */
    readonly attentionOutput: ModelSection;
  };
  readonly step: Step;
}

/**
 * A whole block as generation runs it, one new token per sequence: x [tokens, width], cos and sin
 * [tokens, 1, headWidth] if the block has rotary positions, cachedKey and cachedValue
 * [length, tokens, keyValueHeads, headWidth] and their mask [tokens, 1, 1, length] to output
 * [tokens, width] and the token's own key and value [tokens, keyValueHeads * headWidth].
 */
export interface Step {
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Trained and frozen. */
  readonly parameters: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<"output" | "key" | "value", Tensor>>;
}

/** A layer: layers of one kind share their block's programs, and differ in their parameters. */
export interface Layer {
  readonly block: Block;
  /** Undefined for a block without rotary positions. */
  readonly rotary?: Rotary | undefined;
  /** The most positions back that a token sees, itself included; undefined where it sees all. */
  readonly window?: number | undefined;
}

/** A family's description of a model: its parts, by their parameters' names in checkpoints. */
export interface ArchitectureParts {
  /** The embedding matrix, [vocabulary, width]. */
  readonly embedding: string;
  /** A factor on embeddings. */
  readonly embeddingScale?: number;
  /** Learned positions, [positions, width], added to embeddings. */
  readonly positionEmbedding?: { readonly name: string; readonly positions: number };
  readonly layers: readonly Layer[];
  readonly finalNorm: ModelSection;
  /** The head's matrix, [vocabulary, width]: the embedding's name when they are tied. */
  readonly head: string;
  /** The head's bias, [vocabulary]. */
  readonly headBias?: string | undefined;
  /**
   * Turns the product with the head into logits, where it is not the logits yet, such as a soft
   * cap.
   */
  readonly finishLogits?: ((product: Tensor) => Tensor) | undefined;
}

/** A decoder-only transformer as a loop over compiled blocks. */
export interface Architecture extends ArchitectureParts {
  readonly plan: ParameterPlan;
  readonly width: number;
  readonly vocabularySize: number;
  readonly configuration: ModelConfiguration;
  /** The same model under another plan. */
  replan(plan: ParameterPlan): Architecture;
}

/** The head's parameters. */
export interface Head<Item> {
  readonly weight: Item;
  readonly bias?: Item;
}

/** Those of the parameters that make up the head; undefined where its matrix is not among them. */
export function headOf<Item>(
  { head, headBias }: Pick<ArchitectureParts, "head" | "headBias">,
  values: ReadonlyMap<string, Item>,
): Head<Item> | undefined {
  const weight = values.get(head);
  if (weight === undefined) return undefined;
  return headBias === undefined ? { weight } : { weight, bias: values.get(headBias)! };
}

/** The head's parameters as a program calls them: `head` and `head bias`, say. */
export function namedHead<Item>(name: string, { weight, bias }: Head<Item>): Record<string, Item> {
  return { [name]: weight, ...(bias !== undefined && { [`${name} bias`]: bias }) };
}

/**
 * Inputs of a program for the head of an architecture: for all words of the vocabulary, or for some
 * of them.
 */
export function headInputs({ width, headBias }: Pick<Architecture, "width" | "headBias">): Head<Tensor> {
  const weight = input(["words", width]);
  return headBias === undefined ? { weight } : { weight, bias: input(["words"]) };
}

/** Logits [rows, vocabulary] of hidden states after the last norm. */
export function logitsOf(
  { finishLogits }: Pick<ArchitectureParts, "finishLogits">,
  hidden: Tensor,
  { weight, bias }: Head<Tensor>,
): Tensor {
  const product = linear(hidden, weight, bias);
  return finishLogits ? finishLogits(product) : product;
}

/** The linear layers of a block, in order. */
export function linearLayersOf({ sections }: Block): LinearLayer[] {
  return [...sections.attentionInput.linearLayers, ...sections.attentionOutput.linearLayers];
}

/**
 * Every parameter of a model without its adapter: its name and shape in checkpoints, embedding
 * first, then layer by layer. A tied head is no parameter of its own.
 */
export function parameterShapes(architecture: Architecture): Map<string, readonly number[]> {
  const { embedding, positionEmbedding, layers, finalNorm, head, headBias, width, vocabularySize } = architecture;
  const shapes = new Map<string, readonly number[]>([[embedding, [vocabularySize, width]]]);
  if (positionEmbedding) shapes.set(positionEmbedding.name, [positionEmbedding.positions, width]);
  const addAll = (stored: readonly StoredParameter[], layer: number) => {
    for (const { name, shape } of stored) shapes.set(name(layer), shape);
  };
  for (const [index, { block }] of layers.entries()) {
    addAll(block.sections.attentionInput.stored, index);
    addAll(block.sections.attentionOutput.stored, index);
  }
  addAll(finalNorm.stored, 0);
  shapes.set(head, [vocabularySize, width]);
  if (headBias !== undefined) shapes.set(headBias, [vocabularySize]);
  return shapes;
}

/** The values of a section's parameters in one layer, by the section's names. */
export function parametersOf(section: ModelSection, values: ParameterValues, layer: number): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(section.names).map(([name, inLayer]) => [name, values.get(inLayer(layer))!]),
  );
}
