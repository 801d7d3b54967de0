/**
 * The part of tokenwise that needs no Node: batches, tokenizers, objectives, models as programs,
 * the optimizer step and the float64 engine; the entry point `tokenwise/core`. Model files and
 * native engines are not here.
 */
export { packBatch } from "./data/batch.ts";
export type { TokenizedExample } from "./data/example.ts";
export { type ExampleSource, shuffledExamples } from "./data/source.ts";
export { createTokenizer, type Tokenizer, type TokenizerFiles } from "./data/tokens/tokenizer.ts";
export { typescriptLibrary } from "./data/tokens/typescript-library.ts";
export type { Engine } from "./engine/engine.ts";
export { float64Engine } from "./engine/float64.ts";
export { interruptible } from "./engine/interruptible.ts";
export type { LanguageModel } from "./models/language-model.ts";
export * from "./objectives/public.ts";
export { Learner } from "./step/learner.ts";
export { Optimizer } from "./step/optimizer.ts";
export { Scorer } from "./step/scorer.ts";
export { Trainer } from "./step/trainer.ts";
