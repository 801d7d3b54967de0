/** What an objective needs, in words: for the command line and the pages. */
import { z } from "zod";
import type { ObjectiveDefinition } from "./define.ts";
import type { Objective } from "./objective.ts";

/** The address of an article on arXiv. */
export function arXivLink(number: string): string {
  return `https://arxiv.org/abs/${number}`;
}

/** The signs that formulas are written in. */
export const signs = [
  "w, l: of the chosen and the rejected answer; σ: the logistic function; sg: a stopped gradient",
  "ρ: the log-ratio of policy and reference at a token; Σρ: its sum over the answer; r = β Σρ",
  "u = β (Σρ_w − Σρ_l); a: the mean of log π over the answer's tokens; KL: the sum of KL(policy ‖ reference)",
  "SeqKL: the sum of KL(reference ‖ policy) over the answer; Δ = Σρ_w − Σρ_l; M: its moving average",
  "α, β, γ, δ, λ, τ: the options alpha, beta, gamma, delta, lambda, tau; ε: labelSmoothing",
] as const;

/** What an objective must be given with its default options. */
export function needsOf(definition: ObjectiveDefinition): string[] {
  const { responses, reference, weights, scope, random, statistics } = definition.create();
  return [
    responses === 2 ? "pairs" : "texts, or the chosen answers of pairs",
    references[reference],
    ...(Object.keys(statistics).length > 0 ? ["sums over the vocabulary"] : []),
    ...(weights === "required" ? ["a weight for each token (`weights`)"] : []),
    ...(scope === "step" ? ["all pairs of a step at once"] : []),
    ...(random ? ["chance, from the run's seed"] : []),
  ];
}

const references: Readonly<Record<Objective["reference"], string>> = {
  loss: "a reference",
  rewards: "a reference for the rewards alone",
  none: "no reference",
};

/** What a step takes beside one of DPO. */
export function costOf(definition: ObjectiveDefinition): string {
  const { reference, scope, statistics, responses } = definition.create();
  if (responses === 1) return "one answer instead of two, and no pass of a reference";
  const changes = [
    ...(reference === "none" ? ["less the pass of the reference"] : []),
    ...(scope === "step" ? ["one more forward pass of both models"] : []),
    ...(Object.keys(statistics).length > 0 ? ["the sums over the vocabulary"] : []),
  ];
  return changes.length > 0 ? `as dpo, ${changes.join(", ")}`.replace("dpo, the", "dpo, and the") : "as dpo";
}

/** An option of an objective. */
export interface OptionFacts {
  readonly name: string;
  /** The values that it may have, where they can be listed. */
  readonly values: readonly string[] | undefined;
  readonly fallback: unknown;
  readonly description: string;
}

/** The options of an objective, in their order. */
export function optionsOf(definition: ObjectiveDefinition): OptionFacts[] {
  const { properties = {} } = z.toJSONSchema(definition.schema, { io: "input" });
  return Object.entries(properties as Record<string, z.core.JSONSchema.BaseSchema>)
    .filter(([name]) => name !== "name")
    .map(([name, schema]) => ({
      name,
      values: schema.enum?.map(String),
      fallback: schema.default,
      description: schema.description ?? "",
    }));
}

/** The settings of an objective as a recipe has them. */
export function proposedSettings({ proposed }: ObjectiveDefinition): string {
  const entries = Object.entries(proposed).map(([key, value]) => `${key}: ${value}`);
  return `objective: { ${entries.join(", ")} }`;
}
