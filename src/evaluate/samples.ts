import { packBatch } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import type { Engine } from "../engine/engine.ts";
import { defaultGenerateOptions, type Generation, generate } from "../generate/generate.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { type Metrics, mean, total } from "../step/metrics.ts";
import { defaultMicrobatch } from "../step/microbatches.ts";
import { Scorer, scoreExamples } from "../step/scorer.ts";
import type { LoopEvents } from "../train/loop.ts";
import { distinctPrompts } from "../train/samples.ts";

/** The sampling of answers that are measured. */
export interface SampleOptions {
  /** Answers for each prompt; none by default, 25 in the TDPO paper. */
  readonly samples: number;
  /** At most so many different prompts, the first ones. */
  readonly promptsLimit: number;
  readonly maxNewTokens: number;
  readonly topP: number;
  readonly temperature: number;
  readonly seed: number;
}

export const defaultSampleOptions: SampleOptions = {
  samples: 0,
  promptsLimit: 32,
  maxNewTokens: 128,
  topP: 0.95,
  temperature: 1,
  seed: 0,
};

/** Answers that are computed together, at most. */
const sequencesAtOnce = 32;

/**
 * Samples answers of a policy and measures them:
 *
 * - `samples/entropy`: entropy of the policy's whole distribution, mean over all tokens of all
 *   answers, in nats;
 * - `samples/seq_kl`: KL(policy ‖ reference) at every token, summed over an answer, mean over
 *   answers, in nats: the horizontal axis of the TDPO paper's frontier (as drawn, so with `topP`
 *   below 1 along likely answers only); missing without a reference;
 * - `samples/distinct_1`, `samples/distinct_2`: the share of different tokens, and pairs of
 *   neighbouring tokens, among all (Li et al. 2016, arXiv 1510.03055), the end token left out;
 * - `samples/tokens`: mean length, end token included; `samples/ended`: the share that came to an
 *   end by itself;
 * - `samples/prompts`: how many prompts there were.
 *
 * @param examples their prompts are answered, equal ones once
 * @param progress where the progress of an activity goes
 * @returns undefined if the signal came first
 */
export async function measureSamples(
  engine: Engine,
  models: { policy: LanguageModel; reference: LanguageModel | undefined; tokenizer: Tokenizer },
  examples: readonly TokenizedExample[],
  options: SampleOptions & { readonly signal?: AbortSignal | undefined },
  progress: (activity: string) => Pick<LoopEvents, "progress">,
): Promise<Metrics | undefined> {
  const { policy, reference, tokenizer } = models;
  const prompts = distinctPrompts(examples, options.promptsLimit);
  const answers: Generation[] = [];
  const batchSize = Math.max(1, Math.floor(sequencesAtOnce / options.samples));
  const { samples, maxNewTokens, topP, temperature, seed, signal } = options;
  const wanted = {
    ...defaultGenerateOptions,
    samples,
    maxNewTokens,
    topP,
    temperature,
    seed,
    batchSize,
    ...(signal && { signal }),
  };
  const sampling = progress("sampling from");
  const onProgress = (done: number) =>
    sampling.progress({ activity: "evaluation", done, total: prompts.length * samples });
  for await (const batch of generate(engine, policy, tokenizer, prompts, { ...wanted, onProgress })) {
    answers.push(...batch);
  }
  if (signal?.aborted) return undefined;
  const drawn = answers.map(({ tokens, end }) => tokens.length + Number(end === "end token"));
  const metrics: Metrics = {
    "samples/entropy": sum(answers.map(({ meanEntropy }, index) => meanEntropy * drawn[index]!)) / sum(drawn),
  };
  if (reference) {
    const scorer = new Scorer({ engine, policy, reference, statistics: { klPolicyReference: "constant" } });
    const sampled = answers.map((answer) => sampledExample(prompts[answer.prompt]!, answer));
    const measuring = progress("measuring samples of");
    const onProgress = (done: number, total: number) => measuring.progress({ activity: "evaluation", done, total });
    const scored = await scoreExamples(scorer, sampled, defaultMicrobatch, onProgress, signal);
    if (!scored) return undefined;
    metrics["samples/seq_kl"] = mean(scored, ({ responses }) => total(responses[0]!.klPolicyReference));
  }
  const texts = answers.map(({ tokens }) => tokens);
  return {
    ...metrics,
    "samples/distinct_1": distinct(texts, 1),
    "samples/distinct_2": distinct(texts, 2),
    "samples/tokens": sum(drawn) / answers.length,
    "samples/ended": answers.filter(({ end }) => end === "end token").length / answers.length,
    "samples/prompts": prompts.length,
  };
}

/**
 * KL(reference ‖ policy) at each token of an answer, in nats: how far the policy's distribution has
 * moved where that token was drawn. The token that ended the answer has one too.
 */
export async function tokenDivergences(
  engine: Engine,
  { policy, reference }: { policy: LanguageModel; reference: LanguageModel },
  prompt: Int32Array,
  answer: Generation,
): Promise<Float64Array> {
  const scorer = new Scorer({ engine, policy, reference, statistics: { klReferencePolicy: "constant" } });
  const [scored] = await scorer.score(packBatch([sampledExample(prompt, answer)]));
  return scored!.responses[0]!.klReferencePolicy!;
}

/**
 * Different runs of `length` tokens as a share of all; none crosses from one answer to the next. 0
 * where there is none.
 */
export function distinct(answers: readonly (readonly number[])[], length: number): number {
  const runs = answers.flatMap((tokens) =>
    Array.from({ length: Math.max(0, tokens.length - length + 1) }, (_, start) =>
      tokens.slice(start, start + length).join(),
    ),
  );
  return new Set(runs).size / Math.max(1, runs.length);
}

/** An answer as an example to score; the token that ended it counts, as in training. */
function sampledExample(prompt: Int32Array, { tokens, endToken }: Generation): TokenizedExample {
  const response = Int32Array.from(endToken === undefined ? tokens : [...tokens, endToken]);
  return { prompt, responses: [response], cut: { prompt: 0, responses: [0] }, place: undefined };
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
