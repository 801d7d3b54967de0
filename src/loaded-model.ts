import { availableParallelism } from "node:os";
import type { PreferencePair } from "./data/forms/pairs.ts";
import { tokenizePairs } from "./data/tokenize.ts";
import type { Tokenizer } from "./data/tokens/tokenizer.ts";
import { type Backend, createEngine } from "./engine/create.ts";
import { defaultGenerateOptions, type GenerateOptions, type Generation, generate } from "./generate/generate.ts";
import { encodePrompts } from "./generate/prompts.ts";
import type { ModelConfiguration } from "./models/configuration.ts";
import { pairsOf, type ScoreAnswers, scoreBatch } from "./pairs/make-pairs.ts";
import type { RankedPair, RankOptions } from "./pairs/rank.ts";
import { scorePairs } from "./score/score-pairs.ts";
import type { ScoredPair } from "./score/scored-pair.ts";
import { defaultMicrobatch } from "./step/microbatches.ts";
import { modelPath, openModelFolder } from "./storage/folder.ts";
import { loadLanguageModel } from "./storage/load-model.ts";
import { loadModelTokenizer } from "./storage/model-tokenizer.ts";

export interface LoadModelOptions {
  /** All cores by default. */
  readonly threads?: number;
  /** The library that computes. Default: ONNX Runtime. */
  readonly backend?: Backend;
}

/** A prompt with two answers to it, as texts. */
export type TextPair = Omit<PreferencePair, "place">;

/** Options of making pairs from sampled answers. */
export interface MakePairsOptions
  extends Partial<Omit<GenerateOptions, "onText" | "firstPrompt">>,
    Partial<RankOptions> {
  /** One number for each answer, the higher the better. */
  readonly score: ScoreAnswers;
}

/** A model that is ready to use, with its tokenizer and an engine of its own. */
export interface LoadedModel {
  readonly configuration: ModelConfiguration;
  readonly tokenizer: Tokenizer;
  /**
   * Samples answers to prompts, by default one of up to 128 tokens for each.
   *
   * @returns the answers in order of prompt and sample
   * @throws UserError for a prompt that leaves no room for an answer.
   */
  generate(prompts: readonly string[], options?: Partial<GenerateOptions>): Promise<Generation[]>;
  /**
   * Log-probabilities and entropies of both answers of each pair, token by token, in order. For
   * pairs in files, and beside a reference, see the function `score`.
   */
  score(pairs: readonly TextPair[]): Promise<ScoredPair[]>;
  /** Samples answers, scores them, and ranks them into preference pairs. */
  makePairs(prompts: readonly string[], options: MakePairsOptions): Promise<RankedPair[]>;
  /** Gives the memory back. The model must not be used afterwards. */
  dispose(): void;
}

/**
 * Loads a model: a folder in Hugging Face's layout, an adapter in PEFT's, or the folder of a run.
 *
 * @throws UserError for anything wrong with the folder.
 */
export async function loadModel(path: string, options: LoadModelOptions = {}): Promise<LoadedModel> {
  const folder = await openModelFolder(modelPath(path));
  const tokenizer = await loadModelTokenizer(folder);
  const { configuration } = folder;
  const engine = await createEngine({ backend: options.backend, threads: options.threads ?? availableParallelism() });
  const model = await loadLanguageModel(engine, folder, { frozen: true }).catch((error) => {
    engine.dispose();
    throw error;
  });
  const sample = async (prompts: readonly string[], given: Partial<GenerateOptions>) => {
    const texts = prompts.map((text) => ({ text }));
    const ids = await encodePrompts(tokenizer, configuration, texts);
    return generate(engine, model, tokenizer, ids, { ...defaultGenerateOptions, ...given });
  };
  return {
    configuration,
    tokenizer,
    async generate(prompts, given = {}) {
      const answers: Generation[] = [];
      for await (const batch of await sample(prompts, given)) answers.push(...batch);
      return answers;
    },
    async score(pairs) {
      const placed = pairs.map((pair, index) => ({ ...pair, place: { file: "pairs", line: index + 1 } }));
      const limits = { modelVocabularySize: configuration.vocabularySize, maxLength: configuration.contextLength };
      const { examples } = await tokenizePairs(placed, tokenizer, {
        ...limits,
        contextLength: configuration.contextLength,
        shortContextLength: configuration.shortContextLength,
      });
      const scored: ScoredPair[] = [];
      for await (const { place: _, ...pair } of scorePairs({ engine, policy: model }, examples, defaultMicrobatch))
        scored.push(pair);
      return scored;
    },
    async makePairs(prompts, { score, margin = 0, pairsPerPrompt = 1, samples = 4, ...given }) {
      const done = [];
      for await (const batch of await sample(prompts, { ...given, samples }))
        done.push(...(await scoreBatch(batch, prompts, samples, score)));
      return pairsOf(done, { margin, pairsPerPrompt }).pairs;
    },
    dispose: () => engine.dispose(),
  };
}
