import { add, exp, multiply, scale, sigmoid, softCap, subtract } from "../graph/ops/elementwise.ts";
import { matmul } from "../graph/ops/matmul.ts";
import { sum } from "../graph/ops/reduce.ts";
import { reshape, transpose } from "../graph/ops/shape.ts";
import { logSoftmax, softmax } from "../graph/ops/softmax.ts";
import type { Section } from "../graph/section.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import type { Block, Step } from "./architecture.ts";
import { type ParameterPlan, SectionParameters } from "./section-parameters.ts";

/**
 * Cosines and sines of the tokens' positions, each [tokens, 1, headWidth]; undefined without rotary
 * positions.
 */
export type RotaryInputs = Readonly<Record<"cos" | "sin", Tensor>> | undefined;

/** A block as its family writes it: what comes before its attention, and what comes after it. */
export interface BlockDefinition {
  readonly width: number;
  readonly heads: number;
  /** Divides `heads`; each is shared by as many query heads. */
  readonly keyValueHeads: number;
  readonly headWidth: number;
  /** Numbers of each head that positions rotate; 0 without rotary positions. */
  readonly rotaryWidth: number;
  /** The factor on products of queries and keys; 1 / √headWidth if absent. */
  readonly scoreScale?: number | undefined;
  /** The soft cap of scores: `cap · tanh(score / cap)` in their place; none if absent. */
  readonly scoreCap?: number | undefined;
  /** What stands before the names of a layer's parameters, such as `model.layers.0.`. */
  place(layer: number): string;
  /**
   * x [tokens, width] to query [tokens, heads * headWidth], key and value
   * [tokens, keyValueHeads * headWidth]. All else that is returned is kept for the backward pass,
   * which computes the rest again.
   */
  project(
    x: Tensor,
    parameters: SectionParameters,
    rotary: RotaryInputs,
  ): Readonly<Record<string, Tensor> & Record<"query" | "key" | "value", Tensor>>;
  /**
   * x and context [tokens, heads * headWidth] to output [tokens, width]. All else that is returned
   * is kept, under names that `project` does not use.
   */
  finish(
    x: Tensor,
    context: Tensor,
    parameters: SectionParameters,
  ): Readonly<Record<string, Tensor> & { output: Tensor }>;
}

/** The sections of a block for training, and its step for generation. */
export function defineBlock(plan: ParameterPlan, block: BlockDefinition): Block {
  const { heads, keyValueHeads, headWidth } = block;
  return {
    heads,
    keyValueHeads,
    headWidth,
    sections: {
      attentionInput: attentionInput(plan, block),
      attention: attention(block),
      attentionOutput: attentionOutput(plan, block),
    },
    step: step(plan, block),
  };
}

function rotaryInputs({ rotaryWidth, headWidth }: BlockDefinition): RotaryInputs {
  if (rotaryWidth === 0) return undefined;
  return { cos: input(["tokens", 1, headWidth]), sin: input(["tokens", 1, headWidth]) };
}

function attentionInput(plan: ParameterPlan, block: BlockDefinition) {
  const x = input(["tokens", block.width]);
  const constants = rotaryInputs(block);
  const parameters = new SectionParameters(plan, block.place);
  const { query, key, value, ...saved } = block.project(x, parameters, constants);
  return parameters.section({
    name: "attention input",
    inputs: { x },
    constants: { ...constants },
    outputs: { query, key, value },
    saved,
  });
}

/** The scores of products of queries and keys, before any mask: in training as in generation. */
function scoresOf(products: Tensor, { headWidth, scoreScale = headWidth ** -0.5, scoreCap }: BlockDefinition): Tensor {
  const scores = scale(products, scoreScale);
  return scoreCap === undefined ? scores : softCap(scores, scoreCap);
}

function attention(block: BlockDefinition): Section {
  const { heads, keyValueHeads, headWidth } = block;
  const query = input(["length", heads * headWidth]);
  const key = input(["length", keyValueHeads * headWidth]);
  const value = input(["length", keyValueHeads * headWidth]);
  const mask = input(["length", "length"]);
  // [length, groups * perGroup * headWidth] to [groups, perGroup, length, headWidth]; keys and
  // values broadcast over a group's queries.
  const perHead = (flat: Tensor, perGroup: number) =>
    transpose(reshape(flat, ["length", keyValueHeads, perGroup, headWidth]), [1, 2, 0, 3]);
  const products = matmul(perHead(query, heads / keyValueHeads), perHead(key, 1), { transposeB: true });
  const probabilities = softmax(add(scoresOf(products, block), mask));
  const context = matmul(probabilities, perHead(value, 1));
  return {
    name: "attention",
    inputs: { query, key, value },
    constants: { mask },
    parameters: {},
    outputs: { context: reshape(transpose(context, [2, 0, 1, 3]), ["length", heads * headWidth]) },
    // The probabilities are quadratic in the length, so they are computed again.
    saved: {},
  };
}

function attentionOutput(plan: ParameterPlan, block: BlockDefinition) {
  const x = input(["tokens", block.width]);
  const context = input(["tokens", block.heads * block.headWidth]);
  const parameters = new SectionParameters(plan, block.place);
  const { output, ...saved } = block.finish(x, context, parameters);
  return parameters.section({ name: "attention output", inputs: { x, context }, outputs: { output }, saved });
}

/**
 * A whole block for one new token of each sequence. The token attends to the cached ones and to
 * itself; its own key and value are not in the cache yet, so its share of the attention is found
 * from the log-sum-exp of the others' scores.
 */
function step(plan: ParameterPlan, block: BlockDefinition): Step {
  const { heads, keyValueHeads, headWidth } = block;
  const x = input(["tokens", block.width]);
  const cached = ["length", "tokens", keyValueHeads, headWidth];
  const [cachedKey, cachedValue] = [input(cached), input(cached)];
  const mask = input(["tokens", 1, 1, "length"]);
  const rotary = rotaryInputs(block);
  const parameters = new SectionParameters({ ...plan, dropout: false }, block.place);
  const { query, key, value } = block.project(x, parameters, rotary);
  const perGroup = (flat: Tensor, perHead: number) => reshape(flat, ["tokens", keyValueHeads, perHead, headWidth]);
  // [tokens, groups, perGroup, headWidth] against [tokens, groups, length, headWidth]
  const queries = perGroup(query, heads / keyValueHeads);
  const products = matmul(queries, transpose(cachedKey, [1, 2, 0, 3]), { transposeB: true });
  const scores = add(scoresOf(products, block), mask);
  const logProbabilities = logSoftmax(scores);
  const probabilities = exp(logProbabilities);
  // [tokens, groups, perGroup, 1]
  const logSumExp = sum(multiply(probabilities, subtract(scores, logProbabilities)), [3], { keepDimensions: true });
  const ownScore = scoresOf(sum(multiply(queries, perGroup(key, 1)), [3], { keepDimensions: true }), block);
  const ownShare = sigmoid(subtract(ownScore, logSumExp));
  const others = matmul(probabilities, transpose(cachedValue, [1, 2, 0, 3]));
  const mixed = add(others, multiply(ownShare, subtract(perGroup(value, 1), others)));
  const { output } = block.finish(x, reshape(mixed, ["tokens", heads * headWidth]), parameters);
  const inputs = { x, cachedKey, cachedValue, mask, ...rotary };
  return { inputs, parameters: parameters.tensors, outputs: { output, key, value } };
}
