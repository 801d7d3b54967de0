import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import type { FloatArray } from "../engine/engine.ts";
import { Random } from "../random.ts";
import { entropy, type SamplingOptions, sample } from "./sampler.ts";
import { StoppableText } from "./stop-strings.ts";
import { TextStream } from "./text-stream.ts";

/** One sampled answer. */
export interface Generation {
  /** Index of the prompt. */
  readonly prompt: number;
  readonly sample: number;
  readonly text: string;
  /** Token ids, without the end token; with those of a stop string. */
  readonly tokens: readonly number[];
  /**
   * Mean entropy of the model's distribution (before temperature and filters) at the answer's
   * tokens, end token included, in nats.
   */
  readonly meanEntropy: number;
  readonly end: "end token" | "stop string" | "length";
  /** The end token, if one ended it. */
  readonly endToken?: number;
}

export interface AnswerOptions extends SamplingOptions {
  readonly seed: number;
  readonly stop: readonly string[];
  readonly onText?: ((piece: { prompt: number; sample: number; text: string }) => void) | undefined;
}

/**
 * An answer in the making. It has its own stream of the seed, so it does not depend on what is
 * computed beside it.
 */
export class Answer {
  readonly #tokenizer: Tokenizer;
  readonly #place: { readonly prompt: number; readonly sample: number };
  readonly #limit: number;
  readonly #options: AnswerOptions;
  readonly #random: Random;
  readonly #stream: TextStream;
  readonly #text: StoppableText;
  readonly #tokens: number[] = [];
  #entropy = 0;
  #draws = 0;
  #end: Generation["end"] | undefined;
  #endToken: number | undefined;

  /**
   * @param promptTokens what it answers to
   * @param limit tokens at most, from 1 on
   */
  constructor(
    tokenizer: Tokenizer,
    promptTokens: Int32Array,
    place: { prompt: number; sample: number },
    limit: number,
    options: AnswerOptions,
  ) {
    this.#tokenizer = tokenizer;
    this.#place = place;
    this.#limit = limit;
    this.#options = options;
    this.#random = Random.from(options.seed, "generate", place.prompt, place.sample);
    this.#stream = new TextStream(tokenizer, promptTokens);
    this.#text = new StoppableText(options.stop);
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /**
   * Draws the next token from its logits. An answer that has ended takes part with any token,
   * because its neighbours go on.
   */
  take(logits: FloatArray): number {
    if (this.#end) return 0;
    // A model's vocabulary can be padded with ids that mean nothing.
    const meaningful = logits.subarray(0, this.#tokenizer.vocabularySize);
    const token = sample(meaningful, this.#options, this.#random);
    this.#entropy += entropy(logits);
    this.#draws++;
    if (this.#tokenizer.eosIds.includes(token)) {
      this.#end = "end token";
      this.#endToken = token;
    } else this.#end = this.#append(token);
    if (this.#end && this.#end !== "stop string" && this.#text.add(this.#stream.end())) this.#end = "stop string";
    this.#show();
    return token;
  }

  /** The answer, once it has ended. */
  get result(): Generation {
    if (!this.#end) throw new Error("the answer has not ended");
    return {
      ...this.#place,
      text: this.#text.text,
      tokens: this.#tokens,
      meanEntropy: this.#entropy / this.#draws,
      end: this.#end,
      ...(this.#endToken !== undefined && { endToken: this.#endToken }),
    };
  }

  #append(token: number): Generation["end"] | undefined {
    this.#tokens.push(token);
    if (this.#text.add(this.#stream.push(token))) return "stop string";
    return this.#tokens.length >= this.#limit ? "length" : undefined;
  }

  #show(): void {
    const { onText } = this.#options;
    const text = onText ? this.#text.take({ final: this.ended }) : "";
    if (text !== "") onText!({ ...this.#place, text });
  }
}
