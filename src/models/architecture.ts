import type { Section } from "../graph/section.ts";
import type { Tensor } from "../graph/tensor.ts";

/**
 * A decoder-only transformer as a loop over one compiled block. Attention has its own section because it runs once per packed row, on views
 * of the flat token arrays; everything else runs once over all tokens, without padding.
 */
export interface Architecture {
  readonly layers: number;
  readonly width: number;
  readonly vocabularySize: number;
  /** Width of one head's rotary table. */
  readonly rotaryWidth: number;
  /** Rotary angle per position for each of the `rotaryWidth` columns. */
  readonly rotaryFrequencies: Float64Array;
  readonly sections: {
    /** x [tokens, width] to query, key and value; constants cos and sin [tokens, 1, rotaryWidth]. */
    readonly attentionInput: Section;
    /** query, key, value of one row and its mask [length, length] to context [length, heads * headWidth]. */
    readonly attention: Section;
    /** x and context to output [tokens, width]: the rest of the block. */
    readonly attentionOutput: Section;
    /** The last norm. */
    readonly finalNorm: Section;
  };
  readonly step: Step;
  /** The checkpoint's name for a section's parameter; `layer` counts from 0. */
  parameterName(section: "attentionInput" | "attentionOutput" | "finalNorm", parameter: string, layer: number): string;
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
  /** By the section that they belong to. */
  readonly parameters: Readonly<Record<"attentionInput" | "attentionOutput", Readonly<Record<string, Tensor>>>>;
  readonly outputs: Readonly<Record<"output" | "key" | "value", Tensor>>;
}
