/** What an objective of one's own is written with; the entry point `tokenwise/objectives`. */
export * from "./answer.ts";
export { defineObjective, type ObjectiveDefinition, pairObjective, singleObjective } from "./define.ts";
export { createObjective, type ObjectiveOptions, objectives } from "./index.ts";
export { negativeLogSigmoid } from "./losses.ts";
export type { Answer, Context, Needs, Objective, Term } from "./objective.ts";
