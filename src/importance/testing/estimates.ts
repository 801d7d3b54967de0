/** Estimates as if two models had made them. */
import type { PairEstimate, ResponseEstimate } from "../estimate.ts";
import { type EstimatesFile, openEstimates } from "../estimates-file.ts";
import { EstimatesWriter } from "../estimates-writer.ts";

/**
 * Estimates of two models for tokens with these log-ratios, 0 where there is none; exact for
 * fractions of two.
 */
export function responseEstimate(tokens: Iterable<number>, ratios: readonly number[] = []): ResponseEstimate {
  const ids = Int32Array.from(tokens);
  return {
    tokens: ids,
    positiveLogp: Float32Array.from(ids, (_, index) => (ratios[index] ?? 0) - 4),
    negativeLogp: new Float32Array(ids.length).fill(-4),
  };
}

export async function writeEstimates(
  file: string,
  pairs: readonly PairEstimate[],
  identity: Readonly<Record<string, string>> = {},
): Promise<EstimatesFile> {
  const writer = await EstimatesWriter.open(file, identity, pairs.length);
  await writer.append(pairs);
  await writer.finish();
  return openEstimates(file);
}
