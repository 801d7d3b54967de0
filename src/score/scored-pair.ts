import type { TokenizedExample } from "../data/example.ts";
import type { RecordPlace } from "../data/files/read.ts";
import { UserError } from "../errors.ts";
import type { ResponseVectors } from "../step/objective-evaluator.ts";
import type { ScoredExample } from "../step/scorer.ts";

/** One answer under a model; each list has a number for each token, in nats. */
export interface ScoredAnswer {
  /** Token ids as they are trained on, the end token included. */
  readonly tokens: Int32Array;
  /** log π of each token given what is before it. */
  readonly logp: Float64Array;
  /** The sum of `logp`: the log-probability of the answer. */
  readonly sum: number;
  /** The entropy of π where the token stands. */
  readonly entropy: Float64Array;
  readonly entropySum: number;
}

/** One answer under a model and beside a reference. */
export interface ComparedAnswer extends ScoredAnswer {
  /** log π_ref of each token. */
  readonly referenceLogp: Float64Array;
  readonly referenceSum: number;
  /** log π − log π_ref. */
  readonly logRatio: Float64Array;
  readonly logRatioSum: number;
  /** KL(π_ref ‖ π) over the vocabulary where the token stands. */
  readonly klReferencePolicy: Float64Array;
  readonly klReferencePolicySum: number;
  /** KL(π ‖ π_ref). */
  readonly klPolicyReference: Float64Array;
  readonly klPolicyReferenceSum: number;
}

/** Both answers of a pair under a model. */
export interface ScoredPair<Answer extends ScoredAnswer = ScoredAnswer> {
  /** Its number among the pairs that were scored, from 0. */
  readonly index: number;
  /** Token ids, with the token that begins a text where the model has one. */
  readonly prompt: { readonly tokens: Int32Array };
  readonly chosen: Answer;
  readonly rejected: Answer;
  /** The record that it came from; undefined for a pair that came from no file. */
  readonly place?: RecordPlace;
}

/**
 * The statistics of a pair's tokens as a scored pair.
 *
 * @throws UserError for a number that is not finite
 */
export function scoredPair({ example, responses }: ScoredExample, index: number): ScoredPair {
  const [chosen, rejected] = example.responses.map((tokens, side) => {
    checkFinite(responses[side]!, example, side);
    return scoredAnswer(tokens, responses[side]!);
  });
  const { prompt, place } = example;
  return { index, prompt: { tokens: prompt }, chosen: chosen!, rejected: rejected!, ...(place && { place }) };
}

function scoredAnswer(tokens: Int32Array, vectors: ResponseVectors): ScoredAnswer | ComparedAnswer {
  const { policyLogp, referenceLogp, entropy, klReferencePolicy, klPolicyReference } = vectors;
  const scored = { tokens, logp: policyLogp!, sum: sumOf(policyLogp!), entropy: entropy!, entropySum: sumOf(entropy!) };
  if (!referenceLogp || !klReferencePolicy || !klPolicyReference) return scored;
  const logRatio = policyLogp!.map((value, token) => value - referenceLogp[token]!);
  return {
    ...scored,
    referenceLogp,
    referenceSum: sumOf(referenceLogp),
    logRatio,
    logRatioSum: sumOf(logRatio),
    klReferencePolicy,
    klReferencePolicySum: sumOf(klReferencePolicy),
    klPolicyReference,
    klPolicyReferenceSum: sumOf(klPolicyReference),
  };
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function checkFinite(vectors: ResponseVectors, { place }: TokenizedExample, side: number): void {
  for (const [name, values] of Object.entries(vectors)) {
    const wrong = values.findIndex((value) => !Number.isFinite(value));
    if (wrong < 0) continue;
    const problem = `token ${wrong + 1}: ${name} is ${values[wrong]}`;
    const hint = "the model computes no finite numbers here: its training may have diverged";
    throw new UserError(problem, { ...place, field: side === 0 ? "chosen" : "rejected", hint });
  }
}

/**
 * A pair as a line of JSON, without the line break. Numbers have nine significant digits, which is
 * all that float32 has.
 */
export function scoreLine({ index, prompt, chosen, rejected, place }: ScoredPair): string {
  return JSON.stringify({ index, prompt: plain(prompt), chosen: plain(chosen), rejected: plain(rejected), ...place });
}

/** An object of numbers as JSON has it: plain lists, and names such as `reference_logp`. */
function plain(numbers: object): Record<string, number | number[]> {
  const entries = Object.entries(numbers as Record<string, number | Int32Array | Float64Array>);
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      typeof value === "number" ? bounded(value) : Array.from(value, bounded),
    ]),
  );
}

function bounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(9));
}
