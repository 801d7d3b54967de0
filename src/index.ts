export { UserError } from "./errors.ts";
export { type EvaluateOptions, type Evaluation, evaluate } from "./evaluate/evaluate.ts";
export { createObjective, type ObjectiveOptions } from "./objectives/index.ts";
export type { Objective, ObjectiveResult, ResponseStatistics } from "./objectives/objective.ts";
export { parseRecipe, readRecipe } from "./recipe/parse.ts";
export type { Recipe } from "./recipe/schema.ts";
export { type Reporter, type TrainOptions, type TrainResult, train } from "./train/run.ts";
export type { MetricsRecord } from "./train/run-folder.ts";
