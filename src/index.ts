/**
 * tokenwise for Node: train, evaluate, generate, weigh, make pairs. Nothing here prints or ends the
 * process.
 */
export { UserError } from "./errors.ts";
export { type EvaluateOptions, type Evaluation, evaluate } from "./evaluate/evaluate.ts";
export type { GenerateOptions, Generation } from "./generate/generate.ts";
export { type Proposal, type ProposeOptions, proposeRecipe } from "./init/propose.ts";
export { summarizeProposal } from "./init/summary.ts";
export {
  type LoadedModel,
  type LoadModelOptions,
  loadModel,
  type MakePairsOptions,
  type TextPair,
} from "./loaded-model.ts";
export * from "./objectives/public.ts";
export type { RankedPair } from "./pairs/rank.ts";
export { type PipelineOptions, type PipelineResult, train } from "./pipeline.ts";
export { defineRecipe, parseRecipe, readRecipe } from "./recipe/parse.ts";
export type { RecipeInput } from "./recipe/recipe-input.ts";
export type { Recipe } from "./recipe/schema.ts";
export type { MetricsRecord, ProgressState, Reporter } from "./report.ts";
export { isWeighted, type WeightedRecipe } from "./runs/token-weights.ts";
export { type ScoreOptions, score } from "./score/score.ts";
export { type ComparedAnswer, type ScoredAnswer, type ScoredPair, scoreLine } from "./score/scored-pair.ts";
export { type WeighOptions, type WeighResult, weigh } from "./weigh/weigh.ts";
