import type { TokenizedExample } from "../data/example.ts";
import { hashArrays, tokensOf } from "../data/fingerprint.ts";
import { UserError } from "../errors.ts";
import { Random } from "../random.ts";
import { counted } from "../words.ts";
import type { PairEstimate } from "./estimate.ts";
import { type EstimatesFile, readEstimates } from "./estimates-file.ts";
import { createTransform, type Side, type Transform, type TransformOptions } from "./transforms.ts";

const sides: readonly Side[] = ["chosen", "rejected"];

/**
 * Gives each example the importance weights of its tokens. Estimates are found by the tokens
 * themselves, whatever their order in the file, so that a weight can never belong to another token.
 *
 * @param options.seed fixes random weights
 * @throws UserError naming the first example that has no estimates, and where its tokens differ
 * from the closest pair that has.
 */
export async function weighExamples(
  examples: readonly TokenizedExample[],
  estimates: EstimatesFile,
  { transform, seed }: { transform: TransformOptions; seed: number },
): Promise<TokenizedExample[]> {
  const places = new Map<string, number[]>();
  examples.forEach((example, index) => {
    const key = keyOf(tokensOf(example));
    const same = places.get(key);
    if (same) same.push(index);
    else places.set(key, [index]);
  });
  const weigh = createTransform(transform);
  const weighed: TokenizedExample[] = Array.from(examples);
  const missing = new Set(examples.keys());
  let number = 0;
  for await (const pair of readEstimates(estimates)) {
    number++;
    const key = keyOf([pair.prompt, pair.chosen.tokens, pair.rejected.tokens]);
    for (const index of places.get(key) ?? []) {
      if (!missing.delete(index)) continue;
      const { chosen, rejected } = pairWeights(pair, number, weigh, seed);
      weighed[index] = withWeights(examples[index]!, [chosen, rejected]);
    }
  }
  const [first] = missing;
  if (first !== undefined) throw await mismatch(examples[first]!, missing.size, examples.length, estimates);
  return weighed;
}

/**
 * The weights of a pair's tokens.
 *
 * @param number its place in the file, from 1, and `seed`: what random weights depend on
 */
export function pairWeights(
  pair: PairEstimate,
  number: number,
  weigh: Transform,
  seed: number,
): Record<Side, Float64Array> {
  const of = (side: Side) => weigh(logRatios(pair[side]), side, Random.from(seed, "weights", number, side));
  return { chosen: of("chosen"), rejected: of("rejected") };
}

/** The example with importance weights of its responses' tokens. */
export function withWeights(example: TokenizedExample, weight: readonly Float64Array[]): TokenizedExample {
  return { ...example, given: { ...example.given, weight } };
}

/** log π⁺ - log π⁻ of each token. */
export function logRatios({ positiveLogp, negativeLogp }: PairEstimate[Side]): Float64Array {
  return Float64Array.from(positiveLogp, (logp, index) => logp - negativeLogp[index]!);
}

function keyOf(parts: readonly Int32Array[]): string {
  return hashArrays(parts).toString("base64");
}

/**
 * Says what is wrong with the first example without weights: the pair that shares most of its
 * tokens shows where they part.
 */
async function mismatch(
  { prompt, responses, place }: TokenizedExample,
  missing: number,
  all: number,
  estimates: EstimatesFile,
): Promise<UserError> {
  const wanted = [prompt, ...responses];
  let closest: { number: number; shared: number; difference: string } | undefined;
  let number = 0;
  for await (const pair of readEstimates(estimates)) {
    number++;
    const found = [pair.prompt, pair.chosen.tokens, pair.rejected.tokens];
    const lengths = wanted.map((ids, part) => commonLength(ids, found[part]!));
    const shared = lengths.reduce((sum, length) => sum + length);
    if (shared <= (closest?.shared ?? 0)) continue;
    const part = lengths.findIndex((length, index) => length < Math.max(wanted[index]!.length, found[index]!.length));
    const at = lengths[part]!;
    const show = (ids: Int32Array) => ids[at] ?? "its end";
    const name = ["prompt", ...sides][part];
    const difference = `at token ${at + 1} of its ${name} the data has ${show(wanted[part]!)}, the weights ${show(found[part]!)}`;
    closest = { number, shared, difference };
  }
  const nearest = closest ? `; closest is pair ${closest.number} of the weights: ${closest.difference}` : "";
  const problem = `has no weights for ${missing} of ${counted(all, "pair")}; the first is ${place ? `${place.file}:${place.line}` : "a pair"}${nearest}`;
  return new UserError(problem, {
    file: estimates.file,
    hint: "weights belong to exactly the tokens they were estimated on: estimate them again for this data, tokenizer and these length limits",
  });
}

function commonLength(a: Int32Array, b: Int32Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
