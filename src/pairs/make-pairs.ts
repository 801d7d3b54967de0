import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import type { Engine } from "../engine/engine.ts";
import { type GenerateOptions, type Generation, generate } from "../generate/generate.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Journal } from "./journal.ts";
import { distinctAnswers, type RankedPair, type RankOptions, rankPairs, type ScoredPrompt } from "./rank.ts";
import type { Scorer, ScorerItem } from "./scorer.ts";

/** Prompts as texts and as token ids. */
export interface PairPrompts {
  readonly texts: readonly string[];
  readonly ids: readonly Int32Array[];
}

/** Counts of what became of all prompts and answers. */
export interface PairCounts {
  prompts: number;
  answers: number;
  blank: number;
  duplicates: number;
  /** Answers cut at the limit of tokens. */
  cut: number;
  /** Prompts with fewer than two different answers. */
  withoutChoice: number;
  /** Prompts whose best and worst answer are closer than the margin, or equal in score. */
  droppedByMargin: number;
  pairs: number;
}

/**
 * Samples answers to the prompts that the journal does not have yet, scores them, and writes them
 * to the journal batch by batch.
 *
 * @returns whether all prompts are done; not if `options.signal` came first
 */
export async function scoreAnswers(
  { engine, model, tokenizer }: { engine: Engine; model: LanguageModel; tokenizer: Tokenizer },
  { texts, ids }: PairPrompts,
  scorer: Scorer,
  journal: Journal,
  options: GenerateOptions,
): Promise<boolean> {
  const firstPrompt = journal.done.length;
  const batches = generate(engine, model, tokenizer, ids.slice(firstPrompt), {
    ...options,
    firstPrompt,
    onProgress: (ended) => options.onProgress?.(firstPrompt * options.samples + ended),
  });
  for await (const batch of batches)
    await journal.append(await scoreBatch(batch, texts, options.samples, (items) => scorer.score(items)));
  return journal.done.length === texts.length;
}

/** The pairs of scored answers, and what became of the rest. */
export function pairsOf(
  scoredPrompts: readonly ScoredPrompt[],
  options: RankOptions,
): { pairs: RankedPair[]; counts: PairCounts } {
  const counts = { blank: 0, duplicates: 0, cut: 0, withoutChoice: 0, droppedByMargin: 0 };
  let answers = 0;
  const pairs = scoredPrompts.flatMap((prompt) => {
    const ranked = rankPairs(prompt, options);
    answers += prompt.sampled;
    for (const name of ["blank", "duplicates", "cut"] as const) counts[name] += prompt[name];
    if (prompt.answers.length < 2) counts.withoutChoice++;
    else if (ranked.length === 0) counts.droppedByMargin++;
    return ranked;
  });
  return { pairs, counts: { prompts: scoredPrompts.length, answers, ...counts, pairs: pairs.length } };
}

/** One number for each answer, the higher the better. */
export type ScoreAnswers = (items: readonly ScorerItem[]) => Promise<readonly number[]> | readonly number[];

/** The answers of a batch by prompt, with scores. */
export async function scoreBatch(
  batch: readonly Generation[],
  texts: readonly string[],
  samples: number,
  score: ScoreAnswers,
): Promise<ScoredPrompt[]> {
  const prompts = Array.from({ length: batch.length / samples }, (_, index) => {
    const generations = batch.slice(index * samples, (index + 1) * samples);
    return { prompt: texts[generations[0]!.prompt]!, ...distinctAnswers(generations) };
  });
  const items = prompts.flatMap(({ prompt, texts: responses }) => responses.map((response) => ({ prompt, response })));
  const scores = (await score(items)).values();
  return prompts.map(({ texts: responses, ...rest }) => ({
    ...rest,
    answers: responses.map((text) => ({ text, score: scores.next().value! })),
  }));
}
