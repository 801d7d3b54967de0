import { blockSize } from "../engine/native/workspace.ts";
import { architectureOf } from "../families/registry.ts";
import { elementCount, type Tensor } from "../graph/tensor.ts";
import type { Architecture, Layer } from "../models/architecture.ts";
import type { Objective } from "../objectives/objective.ts";
import type { TrainedModel } from "../runs/starting-point.ts";
import { type OptimizerOptions, statesPerParameter } from "../step/optimizer.ts";
import { defaultHeadSizes } from "../step/statistics-head.ts";

/** Bytes that training will hold at its peak, estimated part by part. */
export interface MemoryEstimate {
  readonly weights: number;
  readonly gradients: number;
  /** Its states: two moments of AdamW, one of RMSprop. */
  readonly optimizer: number;
  /** The frozen model's weights; 0 without one. */
  readonly reference: number;
  /** Values that are kept for backward passes and passed through them. */
  readonly activations: number;
  /** Node and ONNX Runtime themselves. */
  readonly program: number;
  readonly total: number;
}

/** Arrays with a row for each token (or other row): how wide, and how many of them at once. */
type Arrays = readonly (readonly [width: number, count: number])[];

const floatBytes = 4;
/** Node with the data, ONNX Runtime and its compiled programs, as measured on small models. */
const programBytes = 200 * 2 ** 20;
/** Arrays [entries, words] of a tile of the vocabulary that exist at once, for each model. */
const tileArrays = 4;
/** Arrays [heads, length, length] that the backward pass of attention holds at once. */
const attentionArrays = 4;

/** The settings that the memory depends on, besides the model. */
export interface MemorySettings {
  /** Tokens of each example, as it is packed. */
  readonly sizes: readonly number[];
  readonly batchSize: number;
  readonly microbatchTokens: number;
  readonly activationCheckpointing?: boolean;
  /** True if only the head of the reference stays: see `prepareReference`. */
  readonly ahead?: boolean;
  /** AdamW if absent. */
  readonly optimizer?: OptimizerOptions;
}

/** The ways to save memory, from the cheapest on. */
export const savings = [
  { ahead: false, activationCheckpointing: false },
  { ahead: true, activationCheckpointing: false },
  { ahead: false, activationCheckpointing: true },
  { ahead: true, activationCheckpointing: true },
] as const;

/**
 * Follows what `train/` allocates; everything is computed in float32, however the model is stored.
 * A model below an adapter is mapped from its file and serves as its own reference: the system can
 * give its pages up at any time, so they do not count.
 */
export function estimateMemory(
  { parameters, configuration, adapter }: TrainedModel & { readonly parameters: number },
  objective: Objective,
  {
    sizes,
    batchSize,
    microbatchTokens,
    activationCheckpointing = false,
    ahead = false,
    optimizer = { name: "adamw" },
  }: MemorySettings,
): MemoryEstimate {
  const architecture = architectureOf(configuration);
  const trained = floatBytes * (adapter?.parameters ?? parameters);
  const compared = objective.reference === "none" ? 0 : 1;
  const referenceBytes = ahead ? floatBytes * configuration.vocabularySize * configuration.width : trained;
  const parts = {
    weights: trained + (adapter?.frozenBytes ?? 0),
    gradients: trained,
    optimizer: statesPerParameter(optimizer) * trained,
    reference: adapter ? 0 : compared * referenceBytes,
    activations:
      layerBytes(architecture, microbatchSizes(sizes, batchSize, microbatchTokens), activationCheckpointing) +
      attentionBytes(architecture, sizes, microbatchTokens) +
      headBytes(architecture, 1 + compared),
    program: programBytes,
  };
  return { ...parts, total: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) };
}

/**
 * Tokens of the microbatches that examples of these sizes fall into, as `microbatches` groups the
 * examples of a step.
 */
export function microbatchSizes(sizes: readonly number[], batchSize: number, limit: number): number[] {
  const groups: number[] = [];
  for (let start = 0; start < sizes.length; start += batchSize) {
    let tokens = 0;
    for (const size of sizes.slice(start, start + batchSize)) {
      if (tokens > 0 && tokens + size > limit) {
        groups.push(tokens);
        tokens = 0;
      }
      tokens += size;
    }
    groups.push(tokens);
  }
  return groups;
}

/** The values that all layers save, and the gradients of one of them. */
function layerBytes(
  { layers, width }: Architecture,
  tokens: readonly number[],
  activationCheckpointing: boolean,
): number {
  const saved = layers.map(savedWidths);
  const widest = saved.reduce((most, widths) => (sum(widths) > sum(most) ? widths : most));
  const once = (widths: readonly number[]): Arrays => widths.map((columns) => [columns, 1]);
  // With checkpointing each layer keeps its input, and one after the other has all of its arrays
  // and their gradients.
  const arrays: Arrays = activationCheckpointing
    ? [[width, layers.length], ...once(widest), ...once(widest)]
    : [...saved.flatMap(once), ...once(widest)];
  return pooledBytes(arrays, tokens);
}

/**
 * The widths of what a layer keeps of each token for its backward pass: its input, and what its
 * sections hand on or save.
 */
function savedWidths({ block: { sections } }: Layer): number[] {
  const { attentionInput, attention, attentionOutput } = sections;
  const kept: Tensor[] = [
    ...Object.values({ ...attentionInput.inputs, ...attentionInput.outputs, ...attentionInput.saved }),
    ...Object.values({ ...attention.outputs, ...attention.saved }),
    ...Object.values(attentionOutput.saved),
  ];
  return kept.map(({ shape }) => elementCount(shape.slice(1) as number[]));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/**
 * The probabilities of the longest example while its gradient is computed, and the masks of a
 * microbatch.
 */
function attentionBytes({ layers }: Architecture, sizes: readonly number[], microbatchTokens: number): number {
  const heads = layers.reduce((most, { block }) => Math.max(most, block.heads), 0);
  const kinds = new Set(layers.map(({ window }) => window)).size;
  const longest = sizes.reduce((most, size) => Math.max(most, size), 0);
  return floatBytes * longest * (attentionArrays * heads * longest + kinds * Math.max(longest, microbatchTokens));
}

/**
 * Distributions of the vocabulary: those that are kept for the backward pass, and those of a tile
 * while it is computed.
 */
function headBytes({ vocabularySize }: Architecture, models: number): number {
  const { entries, tile, kept } = defaultHeadSizes;
  const all = models * entries * vocabularySize;
  return floatBytes * (Math.min(all, kept) + tileArrays * Math.min(all, models * tile));
}

/**
 * Blocks are reused for what fills at least half of them; so much more than the largest microbatch
 * needs was measured over an epoch.
 */
const slack = 1.75;

/**
 * The size that a `Workspace` grows to for arrays with so many rows: those of smaller counts reuse
 * the blocks of the largest.
 */
function pooledBytes(arrays: Arrays, rowCounts: readonly number[]): number {
  const rows = rowCounts.reduce((most, count) => Math.max(most, count), 0);
  return slack * arrays.reduce((total, [width, count]) => total + count * blockSize(floatBytes * rows * width), 0);
}
