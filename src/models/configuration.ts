/**
 * The part of a model's config.json that all of tokenwise knows. Its family knows more. Widths
 * count numbers, lengths count tokens.
 */
export interface ModelConfiguration {
  /** The name of the model's family, such as `llama`. */
  readonly family: string;
  /** Of the hidden states. */
  readonly width: number;
  readonly layers: number;
  readonly vocabularySize: number;
  readonly contextLength: number;
  /**
   * The most tokens of sequences that are computed in one way; longer ones have other rotary
   * frequencies. Absent where all lengths have the same.
   */
  readonly shortContextLength?: number;
  /** True if the head is the embedding matrix. */
  readonly tiedEmbeddings: boolean;
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
  /** The config.json as it was, so that saving the model keeps what we do not use. */
  readonly raw: Readonly<Record<string, unknown>>;
}
