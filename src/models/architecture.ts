import type { Section } from "../graph/section.ts";
import type { Tensor, Value } from "../graph/tensor.ts";
import type { Weights } from "./parameters.ts";
import type { WeightPlan } from "./section-parameters.ts";

/** The sections that have weights. */
export type WeightedSection = "attentionInput" | "attentionOutput" | "finalNorm";

/** A section with weights: the trained ones are its parameters, the frozen ones and the adapters' masks are among its constants. */
export interface ModelSection extends Section {
  readonly frozen: readonly string[];
  /** By the linear layer that each belongs to. */
  readonly masks: readonly string[];
}

/**
 * A decoder-only transformer as a loop over one compiled block. Attention has its own section because it runs once per packed row, on views
 * of the flat token arrays; everything else runs once over all tokens, without padding.
 */
export interface Architecture {
  readonly weights: WeightPlan;
  readonly layers: number;
  readonly width: number;
  readonly vocabularySize: number;
  /** Width of one head's rotary table. */
  readonly rotaryWidth: number;
  /** Rotary angle per position for each of the `rotaryWidth` columns. */
  readonly rotaryFrequencies: Float64Array;
  readonly sections: {
    /** x [tokens, width] to query, key and value; constants cos and sin [tokens, 1, rotaryWidth]. */
    readonly attentionInput: ModelSection;
    /** query, key, value of one row and its mask [length, length] to context [length, heads * headWidth]. */
    readonly attention: Section;
    /** x and context to output [tokens, width]: the rest of the block. */
    readonly attentionOutput: ModelSection;
    /** The last norm. */
    readonly finalNorm: ModelSection;
  };
  readonly step: Step;
  /** The checkpoint's name for a section's parameter; `layer` counts from 0. */
  parameterName(section: WeightedSection, parameter: string, layer: number): string;
  readonly embedding: string;
  /** The checkpoint's name of the head's weight: the embedding's when they are tied. */
  readonly head: string;
}

/**
 * A whole block as generation runs it, one new token per sequence: x [tokens, width], cos and sin [tokens, 1, rotaryWidth], cachedKey and
 * cachedValue [length, tokens, keyValueHeads, headWidth] and their mask [tokens, 1, 1, length] to output [tokens, width] and the token's
 * own key and value [tokens, keyValueHeads * headWidth].
 */
export interface Step {
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Trained and frozen weights. */
  readonly weights: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<"output" | "key" | "value", Tensor>>;
}

/** The weights of a section in one layer, by the section's names. */
export function sectionParameters(
  architecture: Architecture,
  section: WeightedSection,
  parameters: Weights,
  layer: number,
): Record<string, Value> {
  const { parameters: trained, frozen } = architecture.sections[section];
  const names = [...Object.keys(trained), ...frozen];
  return Object.fromEntries(
    names.map((name) => [name, parameters.get(architecture.parameterName(section, name, layer))!]),
  );
}
