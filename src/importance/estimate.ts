/** The estimates of two contrastive models for one pair. */
export interface PairEstimate {
  /** Token ids as training sees them, after truncation, the end token included. */
  readonly prompt: Int32Array;
  readonly chosen: ResponseEstimate;
  readonly rejected: ResponseEstimate;
}

/**
 * Log-probabilities of a response's tokens under the positive model π⁺ and the negative model π⁻,
 * in nats.
 */
export interface ResponseEstimate {
  readonly tokens: Int32Array; // [length]
  readonly positiveLogp: Float32Array; // [length]
  readonly negativeLogp: Float32Array; // [length]
}
