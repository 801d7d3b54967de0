import { packBatch } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";
import type { Engine } from "../engine/engine.ts";
import type { PairEstimate, ResponseEstimate } from "../importance/estimate.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { type MicrobatchLimits, microbatches } from "../step/microbatches.ts";
import { Scorer } from "../step/scorer.ts";

/**
 * A contrastive model with the pairs as it sees them: their prompts may be its own, their responses
 * are those of training.
 */
export interface Contrast {
  readonly model: LanguageModel;
  readonly examples: readonly TokenizedExample[];
}

/**
 * Log-probabilities of every response token of pairs under π⁺ and π⁻. Both models run the same
 * compiled programs over the same packed batches: each prompt once, the vocabulary at scored
 * positions only.
 *
 * @param examples the pairs as training sees them
 * @yields the estimates of a microbatch of pairs, in their order
 */
export async function* estimatePairs(
  engine: Engine,
  examples: readonly TokenizedExample[],
  { positive, negative }: { positive: Contrast; negative: Contrast },
  limits: MicrobatchLimits,
): AsyncGenerator<PairEstimate[]> {
  const scorerOf = ({ model }: Contrast) => new Scorer({ engine, policy: model, reference: undefined });
  const [ofPositive, ofNegative] = [scorerOf(positive), scorerOf(negative)];
  let start = 0;
  for (const { length } of microbatches(positive.examples, limits)) {
    const end = start + length;
    const [ours, theirs] = [
      await ofPositive.score(packBatch(positive.examples.slice(start, end))),
      await ofNegative.score(packBatch(negative.examples.slice(start, end))),
    ];
    yield examples.slice(start, end).map(({ prompt, responses }, index): PairEstimate => {
      const [chosen, rejected] = responses.map(
        (tokens, side): ResponseEstimate => ({
          tokens,
          positiveLogp: Float32Array.from(ours[index]!.responses[side]!.policyLogp!),
          negativeLogp: Float32Array.from(theirs[index]!.responses[side]!.policyLogp!),
        }),
      );
      return { prompt, chosen: chosen!, rejected: rejected! };
    });
    start = end;
  }
}
