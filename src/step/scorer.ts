import { type PackedBatch, packBatch } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";
import type { Engine, FloatValue } from "../engine/engine.ts";
import type { AdapterDropout } from "../models/adapter-dropout.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Transformer } from "../models/transformer.ts";
import type { StatisticName, StatisticUses } from "../objectives/statistics.ts";
import { chunks } from "./chunks.ts";
import { byResponse } from "./entry-vectors.ts";
import { type MicrobatchLimits, microbatches } from "./microbatches.ts";
import type { ResponseVectors } from "./objective-evaluator.ts";
import { type HiddenStatesCache, type ReferenceModel, referenceStates } from "./reference-states.ts";
import { defaultHeadSizes, type HeadSizes, StatisticsHead } from "./statistics-head.ts";

/** The statistics of each token of an example's responses. */
export interface ScoredExample {
  readonly example: TokenizedExample;
  readonly responses: readonly ResponseVectors[];
}

export interface ScorerOptions {
  engine: Engine;
  policy: LanguageModel;
  /** The frozen model that the policy is compared with, over the same vocabulary. */
  reference: ReferenceModel | undefined;
  /** The statistics over the vocabulary. */
  statistics?: StatisticUses;
  headSizes?: HeadSizes | undefined;
  /** The policy's programs, where they are not its own. */
  transformer?: Transformer;
}

/**
 * Turns packed batches into statistics of their tokens under a policy and a reference, without
 * gradients.
 */
export class Scorer {
  /** The cache of the reference's hidden states of examples that come again, if there is one. */
  referenceCache: HiddenStatesCache | undefined;
  readonly #options: ScorerOptions;
  readonly #head: StatisticsHead;

  constructor(options: ScorerOptions) {
    this.#options = options;
    this.#head = new StatisticsHead(options, options.statistics ?? {});
  }

  /** The statistics that it computes. */
  get names(): readonly StatisticName[] {
    return this.#head.names;
  }

  /** The batch's examples in their order. */
  async score(batch: PackedBatch, dropout?: AdapterDropout): Promise<ScoredExample[]> {
    const { engine, policy, transformer = policy.transformer, headSizes = defaultHeadSizes } = this.#options;
    const reference = await this.referenceHidden(batch);
    const { hidden } = await transformer.forward(policy.parameters, batch, { save: "nothing", dropout });
    const scored: ScoredExample[] = [];
    for (const chunk of chunks(batch, headSizes.entries)) {
      const pass = await this.#head.forward(batch, chunk, { hidden, reference }, { save: false });
      const vectors = byResponse(batch, chunk, pass.statistics);
      this.#head.release(pass);
      scored.push(...vectors.map((responses, row) => ({ example: exampleAt(batch, chunk.firstRow + row), responses })));
    }
    if (reference) engine.release(reference);
    engine.release(hidden);
    return scored;
  }

  /** The reference's hidden states of a batch, [entries, width]. The caller releases them. */
  async referenceHidden(batch: PackedBatch): Promise<FloatValue | undefined> {
    const { engine, reference } = this.#options;
    return reference && referenceStates(engine, reference, batch, this.referenceCache);
  }

  /** Gives back what the transformers keep of the last batch. */
  forgetTables(): void {
    const { policy, reference, transformer } = this.#options;
    for (const used of new Set([policy.transformer, transformer, reference?.transformer])) used?.forgetTables();
  }
}

/** Scores examples in their order; undefined when aborted on the way. */
export async function scoreExamples(
  scorer: Scorer,
  examples: readonly TokenizedExample[],
  limits: MicrobatchLimits,
  onProgress: (done: number, total: number) => void,
  signal?: AbortSignal,
): Promise<ScoredExample[] | undefined> {
  const scored: ScoredExample[] = [];
  for (const part of microbatches(examples, limits)) {
    if (signal?.aborted) return undefined;
    scored.push(...(await scorer.score(packBatch(part))));
    onProgress(scored.length, examples.length);
  }
  return scored;
}

export function exampleAt({ rows: packed }: PackedBatch, row: number): TokenizedExample {
  return packed[row]!.example!;
}
