import { packBatch } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";
import type { Engine } from "../engine/engine.ts";
import { untilAborted } from "../engine/interruptible.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { type MicrobatchLimits, microbatches } from "../step/microbatches.ts";
import { Scorer } from "../step/scorer.ts";
import { type ScoredPair, scoredPair } from "./scored-pair.ts";

/** The model to score with, the reference to compare it with, and what computes. */
export interface ScoringModels {
  readonly engine: Engine;
  readonly policy: LanguageModel;
  readonly reference?: LanguageModel | undefined;
}

/**
 * Statistics of every answer token of tokenized pairs, in their order.
 *
 * @param signal ends it early, between two programs
 * @throws UserError for a number that is not finite
 */
export async function* scorePairs(
  { engine, policy, reference }: ScoringModels,
  examples: readonly TokenizedExample[],
  limits: MicrobatchLimits,
  signal?: AbortSignal,
): AsyncGenerator<ScoredPair> {
  const divergences = { klReferencePolicy: "constant", klPolicyReference: "constant" } as const;
  const statistics = { entropy: "constant", ...(reference && divergences) } as const;
  const scorer = new Scorer({ engine, policy, reference, statistics });
  let index = 0;
  for (const part of microbatches(examples, limits)) {
    if (signal?.aborted) return;
    const work = () => scorer.score(packBatch(part));
    const scored = await untilAborted(engine, signal, work, () => scorer.forgetTables());
    if (!scored) return;
    for (const example of scored) yield scoredPair(example, index++);
  }
}
