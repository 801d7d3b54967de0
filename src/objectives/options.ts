/** Options that several objectives share. */
import { nonnegative, positive } from "../numbers.ts";

/** β: how strongly the policy is held to the reference. */
export const beta = positive(1e4).default(0.1).describe("how strongly the policy is held to the reference");

/** The weight of a term beside the loss. */
export function termWeight(fallback: number, description: string) {
  return nonnegative(1e4).default(fallback).describe(description);
}
