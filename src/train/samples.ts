import type { TokenizedExample } from "../data/example.ts";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import type { Engine } from "../engine/engine.ts";
import { untilAborted } from "../engine/interruptible.ts";
import { defaultGenerateOptions, generate } from "../generate/generate.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { SamplesRecord } from "../runs/run-folder.ts";

/** A handful shows what a policy has become; `tokenwise evaluate` measures it on more. */
const promptsShown = 8;

/**
 * Samples answers of policy and reference to the first different held-out prompts, each up to 128
 * tokens from the model's own distribution. The same seed at every evaluation: what differs between
 * two evaluations, or from the reference, the policy has learned.
 */
export class HeldOutSampler {
  readonly #engine: Engine;
  readonly #models: { policy: LanguageModel; reference: LanguageModel | undefined };
  readonly #tokenizer: Tokenizer;
  readonly #prompts: readonly Int32Array[];
  readonly #options: { samples: number; seed: number };
  /** The reference does not change, so it is asked once. */
  #referenceAnswers: string[][] | undefined;

  /** @param options.samples answers for each prompt */
  constructor(
    engine: Engine,
    models: { policy: LanguageModel; reference: LanguageModel | undefined },
    tokenizer: Tokenizer,
    examples: readonly TokenizedExample[],
    options: { samples: number; seed: number },
  ) {
    this.#engine = engine;
    this.#models = models;
    this.#tokenizer = tokenizer;
    this.#prompts = distinctPrompts(examples, promptsShown);
    this.#options = options;
  }

  /**
   * A record for each prompt; undefined when aborted on the way.
   *
   * @param onProgress told how many answers of how many are there; the count begins again with the
   * reference's
   */
  async sample(
    step: number,
    signal: AbortSignal,
    onProgress: (done: number, total: number) => void,
  ): Promise<SamplesRecord[] | undefined> {
    const { policy, reference } = this.#models;
    const ours = await this.#answers(policy, signal, onProgress);
    if (reference && !signal.aborted) this.#referenceAnswers ??= await this.#answers(reference, signal, onProgress);
    const theirs = this.#referenceAnswers;
    if (!ours || (reference && !theirs)) return undefined;
    return this.#prompts.map((prompt, index) => ({
      step,
      prompt: this.#tokenizer.decode(prompt, { skipSpecialTokens: true }),
      policy: ours[index]!,
      ...(theirs && { reference: theirs[index]! }),
    }));
  }

  /** The texts of a model's answers, by prompt. */
  async #answers(
    model: LanguageModel,
    signal: AbortSignal,
    onProgress: (done: number, total: number) => void,
  ): Promise<string[][] | undefined> {
    const answers = this.#prompts.map((): string[] => []);
    const total = this.#prompts.length * this.#options.samples;
    const report = (done: number) => onProgress(done, total);
    const options = { ...defaultGenerateOptions, ...this.#options, signal, onProgress: report };
    const draw = async () => {
      for await (const batch of generate(this.#engine, model, this.#tokenizer, this.#prompts, options)) {
        for (const { prompt, text } of batch) answers[prompt]!.push(text);
      }
    };
    await untilAborted(this.#engine, signal, draw, () => model.transformer.forgetTables());
    return signal.aborted ? undefined : answers;
  }
}

/** The different prompts of examples, at most `limit`, in their order. */
export function distinctPrompts(examples: readonly TokenizedExample[], limit: number): Int32Array[] {
  return [...new Map(examples.map(({ prompt }) => [prompt.join(), prompt])).values()].slice(0, limit);
}
