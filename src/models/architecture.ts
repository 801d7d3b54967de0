import type { Section } from "../graph/section.ts";

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
    /**
     * One query per sequence [sequences, heads * headWidth] against cached keys and values [length, sequences, keyValueHeads, headWidth],
     * with a mask [sequences, 1, 1, length]: generation, one token at a time.
     */
    readonly cachedAttention: Section;
    /** x and context to output [tokens, width]: the rest of the block. */
    readonly attentionOutput: Section;
    /** The last norm. */
    readonly finalNorm: Section;
  };
  /** The checkpoint's name for a section's parameter; `layer` counts from 0. */
  parameterName(section: "attentionInput" | "attentionOutput" | "finalNorm", parameter: string, layer: number): string;
  readonly embedding: string;
  /** The checkpoint's name of the head's weight: the embedding's when they are tied. */
  readonly head: string;
}
