import type { TokenizedExample } from "../data/example.ts";
import { hash32 } from "../hash.ts";
import type { Objective } from "../objectives/objective.ts";
import { Random } from "../random.ts";
import type { ResponseVectors } from "./objective-evaluator.ts";

/**
 * An example's statistics with the constants that an objective must be given, and the numbers that
 * it draws. Those depend on the seed, the step and the tokens alone: neither microbatches nor the
 * order of examples change them.
 *
 * @throws Error if the example lacks a constant.
 */
export function withConstants(
  { given, random, name: objective }: Pick<Objective, "given" | "random" | "name">,
  example: TokenizedExample,
  statistics: readonly ResponseVectors[],
  { seed, step }: { seed: number; step: number },
): readonly ResponseVectors[] {
  const names = Object.keys(given);
  if (names.length === 0 && !random) return statistics;
  for (const name of names) if (!example.given?.[name]) throw new Error(`${objective}: an example has no ${name}`);
  return statistics.map((vectors, side) => {
    // A constant of the whole example stands with its first response.
    const constants = names.flatMap((name) => {
      const vector = example.given![name]![side];
      return vector ? [[name, vector] as const] : [];
    });
    return {
      ...vectors,
      ...Object.fromEntries(constants),
      ...(random && { random: drawn(Random.from(seed, "objective", step, side, keyOf(example)), vectors) }),
    };
  });
}

/**
 * The names of all vectors that examples with constants have, for each response.
 *
 * @param statistics those that are computed
 */
export function vectorNames(
  { given, random, responses }: Pick<Objective, "given" | "random" | "responses">,
  statistics: readonly string[],
): string[][] {
  const constants = Object.keys(given);
  return Array.from({ length: responses }, (_, side) => [
    ...statistics,
    ...(side === 0 ? constants : constants.filter((name) => given[name] === "token")),
    ...(random ? ["random"] : []),
  ]);
}

function drawn(random: Random, { policyLogp }: ResponseVectors): Float64Array {
  return Float64Array.from(policyLogp!, () => random.next());
}

function keyOf({ prompt, responses }: TokenizedExample): number {
  return hash32([prompt, ...responses].join(" | "));
}
