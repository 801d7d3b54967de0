import { type Group, gather } from "./group.ts";
import type { ResponseVectors } from "./objective-evaluator.ts";

type Examples = readonly (readonly ResponseVectors[])[];

const none = new Float64Array();

/**
 * The vectors of all ranks' examples, in the order of ranks, for losses that depend on all examples
 * of a step.
 *
 * @param layout the names of the vectors of each response: an example's first, second ...
 * @returns the examples, and how many of them stand before this rank's own
 */
export async function shareStatistics(
  group: Group,
  own: Examples,
  layout: readonly (readonly string[])[],
): Promise<{ all: Examples; before: number }> {
  if (group.size === 1) return { all: own, before: 0 };
  const shares = (await gather(group, encode(own, layout))).map((numbers) => decode(numbers, layout));
  const before = shares.slice(0, group.rank).reduce((sum, share) => sum + share.length, 0);
  return { all: shares.flat(), before };
}

/** Vector behind vector, each with its length before it. */
function encode(examples: Examples, layout: readonly (readonly string[])[]): Float64Array {
  const vectors = examples.flatMap((responses) =>
    layout.flatMap((names, side) => names.map((name) => responses[side]![name] ?? none)),
  );
  return Float64Array.from(vectors.flatMap((vector) => [vector.length, ...vector]));
}

function decode(numbers: Float64Array, layout: readonly (readonly string[])[]): ResponseVectors[][] {
  const examples: ResponseVectors[][] = [];
  let place = 0;
  const vector = () => {
    const start = place + 1;
    place = start + numbers[place]!;
    return numbers.subarray(start, place);
  };
  while (place < numbers.length)
    examples.push(layout.map((names) => Object.fromEntries(names.map((name) => [name, vector()]))));
  return examples;
}
