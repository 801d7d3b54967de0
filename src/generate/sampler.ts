import type { FloatArray } from "../engine/engine.ts";
import type { Random } from "../random.ts";

/** The way to draw the next token. */
export interface SamplingOptions {
  /** Logits are divided by it; 0 takes the most likely token. */
  readonly temperature: number;
  /** Only so many of the most likely tokens; 0 keeps all. */
  readonly topK: number;
  /** Only the most likely tokens that together have this probability; 1 keeps all. */
  readonly topP: number;
}

/** The most likely token; the first of equals. */
export function greedy(logits: ArrayLike<number>): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++) if (logits[token]! > logits[best]!) best = token;
  return best;
}

/**
 * Draws a token. Filters apply in the order of transformers: temperature, top-k, top-p.
 *
 * @param logits of the whole vocabulary
 */
export function sample(logits: FloatArray, { temperature, topK, topP }: SamplingOptions, random: Random): number {
  if (temperature === 0) return greedy(logits);
  const weights = relativeProbabilities(logits, temperature);
  let kept: readonly number[] | undefined = topK > 0 && topK < weights.length ? likeliest(weights, topK) : undefined;
  if (topP < 1) kept = nucleus(weights, kept, topP);
  return draw(weights, kept, random);
}

/** The entropy of the distribution that logits stand for, in nats. */
export function entropy(logits: FloatArray): number {
  const largest = logits[greedy(logits)]!;
  let total = 0;
  let weighted = 0;
  for (let token = 0; token < logits.length; token++) {
    const shifted = logits[token]! - largest;
    const weight = Math.exp(shifted);
    total += weight;
    if (weight > 0) weighted += weight * shifted;
  }
  return Math.log(total) - weighted / total;
}

/** Probabilities over that of the most likely token. */
function relativeProbabilities(logits: FloatArray, temperature: number): Float64Array {
  const largest = logits[greedy(logits)]!;
  const weights = new Float64Array(logits.length);
  for (let token = 0; token < weights.length; token++) {
    weights[token] = Math.exp((logits[token]! - largest) / temperature);
  }
  return weights;
}

/** The `count` tokens of largest weight, largest first; of equals the first come first. */
function likeliest(weights: Float64Array, count: number): number[] {
  const kept: number[] = [];
  for (let token = 0; token < weights.length; token++) {
    const weight = weights[token]!;
    if (kept.length === count && weight <= weights[kept.at(-1)!]!) continue;
    // Where it belongs among those kept so far, found by halving.
    let [low, high] = [0, kept.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (weights[kept[middle]!]! >= weight) low = middle + 1;
      else high = middle;
    }
    kept.splice(low, 0, token);
    if (kept.length > count) kept.pop();
  }
  return kept;
}

/**
 * The fewest likeliest tokens that together have the share `topP`, at least one.
 *
 * @param sorted tokens to choose from, likeliest first; all tokens unless given
 */
function nucleus(weights: Float64Array, sorted: readonly number[] | undefined, topP: number): readonly number[] {
  const total = sorted ? sorted.reduce((sum, token) => sum + weights[token]!, 0) : sumOf(weights);
  const order = sorted ?? sortedAbove(weights, ((1 - topP) * total) / weights.length);
  let before = 0;
  const end = order.findIndex((token) => {
    const enough = before > 0 && before >= topP * total;
    before += weights[token]!;
    return enough;
  });
  return end < 0 ? order : order.slice(0, end);
}

/**
 * Tokens of at least the weight `least`, likeliest first. What is left out weighs less than `least`
 * times their number together.
 */
function sortedAbove(weights: Float64Array, least: number): number[] {
  const tokens: number[] = [];
  for (let token = 0; token < weights.length; token++) if (weights[token]! >= least) tokens.push(token);
  return tokens.sort((a, b) => weights[b]! - weights[a]! || a - b);
}

/** A token drawn by weight: from `kept`, or from all. */
function draw(weights: Float64Array, kept: readonly number[] | undefined, random: Random): number {
  const count = kept?.length ?? weights.length;
  const total = kept ? kept.reduce((sum, token) => sum + weights[token]!, 0) : sumOf(weights);
  let left = random.next() * total;
  let last = 0;
  for (let index = 0; index < count; index++) {
    const token = kept ? kept[index]! : index;
    const weight = weights[token]!;
    if (weight === 0) continue;
    last = token;
    left -= weight;
    if (left < 0) break;
  }
  // Where rounding leaves a crumb, the last token that can be drawn.
  return last;
}

function sumOf(weights: Float64Array): number {
  let total = 0;
  for (let token = 0; token < weights.length; token++) total += weights[token]!;
  return total;
}
