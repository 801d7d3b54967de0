/** Options that several objectives share. */
import { z } from "zod";
import { nonnegative, positive } from "../numbers.ts";
import type { Aggregate } from "./answer.ts";

/** β: how strongly the policy is held to the reference. */
export const beta = positive(1e4).default(0.1).describe("how strongly the policy is held to the reference");

/** β of losses without a reference: what the difference of the answers' scores is multiplied by. */
export function scoreScale(fallback: number, score: string) {
  return positive(1e4).default(fallback).describe(`what the difference of the ${score} is multiplied by`);
}

/** ε: the share of wrong labels; 0 for none. */
export const labelSmoothing = z
  .number()
  .min(0)
  .max(0.5)
  .default(0)
  .describe("the share of pairs assumed to be labelled the wrong way round");

/** How log-ratios become one number for an answer; `ofPaper` is the default. */
export function aggregate(ofPaper: Aggregate, description: string) {
  return z.enum(["sum", "mean"]).default(ofPaper).describe(description);
}

/** The weight of a term beside the loss. */
export function termWeight(fallback: number, description: string) {
  return nonnegative(1e4).default(fallback).describe(description);
}
