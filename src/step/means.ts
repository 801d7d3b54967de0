import type { Objective, Term } from "../objectives/objective.ts";

/** The responses of examples, as far as means over them are concerned. */
type Lengths = readonly { readonly responses: readonly { readonly length: number }[] }[];

/**
 * The factors by which the losses of a step's examples become the number that is minimised: `scale
 * · Σ_examples Σ_terms share · loss`. The scale is that of the first term; the shares hold the
 * others' weights and means in relation to it.
 *
 * @param divisors those of the step's examples, see `divisorsOf`
 */
export function meansOf({ terms }: Objective, divisors: Float64Array): { scale: number; shares: number[] } {
  const shares = terms.map(({ weight }, index) => (index === 0 ? weight : weight * (divisors[0]! / divisors[index]!)));
  return { scale: 1 / divisors[0]!, shares };
}

/** The divisor of each of an objective's terms. */
export function divisorsOf({ terms }: Objective, examples: Lengths): Float64Array {
  return Float64Array.from(terms, (term) => divisor(term, examples));
}

/** The divisor of the sum of a term's losses over `examples`. */
export function divisor({ mean, responses: counted }: Term, examples: Lengths): number {
  if (mean === "examples") return examples.length;
  return examples.reduce(
    (sum, { responses }) => sum + counted.reduce((total, side) => total + responses[side]!.length, 0),
    0,
  );
}
