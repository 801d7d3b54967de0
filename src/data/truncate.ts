/**
 * The cutting of pairs that are too long.
 *
 * If the prompt and the longer response fit `maxLength`, nothing is cut. Otherwise the prompt is
 * cut once, the same for both responses, to P' = min(P, max(maxPromptLength, maxLength − longest
 * response)); then each response is cut at its end to `maxLength` − P' tokens. A cut response has
 * lost its EOS: its last token is real text, so the model is not taught to stop there. No response
 * is ever left empty.
 */
import { UserError } from "../errors.ts";

export interface LengthOptions {
  /**
   * Most tokens of prompt plus longest response. Default: 512, or the model's context if that is
   * less.
   */
  readonly maxLength?: number | undefined;
  /**
   * Tokens that a prompt may keep when something must be cut. Default: 256, or half of `maxLength`
   * if that is less.
   */
  readonly maxPromptLength?: number | undefined;
  /** The end of a long prompt that is kept. Default: "keep_end", the part next to the answer. */
  readonly truncation?: "keep_end" | "keep_start" | undefined;
  /** Positions that the model has. */
  readonly contextLength?: number | undefined;
  /**
   * The most tokens of sequences that the model computes in one way, where it computes longer ones
   * in another: answers to one prompt must end on one side of it.
   */
  readonly shortContextLength?: number | undefined;
}

export interface Limits {
  readonly maxLength: number;
  readonly maxPromptLength: number;
  readonly truncation: "keep_end" | "keep_start";
}

/**
 * Fills in the defaults. Throws a `UserError` for limits that leave no room for one token of prompt
 * and one of response.
 */
export function resolveLimits(options: LengthOptions = {}): Limits {
  const contextLength = options.contextLength ?? Number.POSITIVE_INFINITY;
  const maxLength = options.maxLength ?? Math.min(512, contextLength);
  const maxPromptLength = options.maxPromptLength ?? Math.min(256, Math.floor(maxLength / 2));
  const truncation = options.truncation ?? "keep_end";
  if (!Number.isInteger(maxLength) || maxLength < 2) {
    throw new UserError(`must be an integer from 2 (one token of prompt, one of response), got ${maxLength}`, {
      field: "maxLength",
    });
  }
  if (maxLength > contextLength) {
    throw new UserError(`${maxLength} tokens are more than the model's context of ${contextLength}`, {
      field: "maxLength",
    });
  }
  if (!Number.isInteger(maxPromptLength) || maxPromptLength < 1) {
    throw new UserError(`must be an integer from 1, got ${maxPromptLength}`, { field: "maxPromptLength" });
  }
  if (maxPromptLength >= maxLength) {
    throw new UserError(`${maxPromptLength} leaves no room for a response within maxLength ${maxLength}`, {
      field: "maxPromptLength",
    });
  }
  return { maxLength, maxPromptLength, truncation };
}

/**
 * Cuts a prompt and its responses as described above.
 *
 * @param prompt At least one token.
 * @param bosId The token to keep in front of a prompt that loses its beginning; undefined if the
 * tokenizer adds none.
 */
export function truncate(
  prompt: readonly number[],
  responses: readonly (readonly number[])[],
  limits: Limits,
  bosId: number | undefined,
): { prompt: readonly number[]; responses: (readonly number[])[] } {
  const { maxLength, maxPromptLength, truncation } = limits;
  const longest = Math.max(...responses.map((response) => response.length));
  if (prompt.length + longest <= maxLength) return { prompt, responses: [...responses] };
  const promptLength = Math.min(prompt.length, Math.max(maxPromptLength, maxLength - longest));
  return {
    prompt: truncation === "keep_end" ? keepEnd(prompt, promptLength, bosId) : prompt.slice(0, promptLength),
    responses: responses.map((response) => response.slice(0, maxLength - promptLength)),
  };
}

function keepEnd(prompt: readonly number[], length: number, bosId: number | undefined): readonly number[] {
  if (length >= prompt.length) return prompt;
  if (bosId === undefined || prompt[0] !== bosId) return prompt.slice(prompt.length - length);
  return [bosId, ...prompt.slice(prompt.length - length + 1)];
}
