/**
 * Where texts begin and end: the one policy on BOS and EOS, used for training, evaluation and generation alike.
 *
 * - A prompt begins with BOS if the tokenizer itself would add it, and never with two.
 * - An empty prompt is one token all the same, for the first token of the answer needs something to be predicted from: BOS, or EOS
 *   where the model has no BOS (as GPT-2 does).
 * - A response ends with exactly one EOS. If its text already ends with a token that ends texts, none is added; of several, one stays.
 * - A prompt and its response are tokenized apart, so no token spans the boundary, and the prompt's tokens are the same in training and
 *   in generation. The response gets no artificial space in front (see `prefix-space.ts`).
 * - A text on its own begins with the token of an empty prompt and ends with EOS.
 */
import { UserError } from "../../errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Token ids of a prompt, at least one. */
export function encodePrompt(tokenizer: Tokenizer, prompt: string): number[] {
  const ids = tokenizer.encode(prompt);
  if (ids.length === 0) return [startToken(tokenizer)];
  if (tokenizer.addsBos && ids[0] !== tokenizer.bosId) ids.unshift(startToken(tokenizer));
  return ids;
}

/** Token ids of a response to `prompt`, with EOS at the end. Throws a `UserError` if there is no EOS. */
export function encodeResponse(tokenizer: Tokenizer, prompt: string, response: string): number[] {
  const ids = isContinuation(prompt) ? tokenizer.encodeContinuation(response) : tokenizer.encode(response);
  return withOneEos(tokenizer, ids);
}

/** Whether a response to `prompt` continues a text: to an empty one it begins the text. */
export function isContinuation(prompt: string): boolean {
  return prompt !== "";
}

/** Token ids of a text on its own: the start token, the text, EOS. */
export function encodeText(tokenizer: Tokenizer, text: string): number[] {
  const start = startToken(tokenizer);
  const ids = tokenizer.encode(text);
  if (ids[0] !== start) ids.unshift(start);
  return withOneEos(tokenizer, ids);
}

/** The token that stands for an empty prompt. Throws a `UserError` if the model has neither BOS nor EOS. */
export function startToken({ bosId, eosId, file }: Tokenizer): number {
  const start = bosId ?? eosId;
  if (start !== undefined) return start;
  throw new UserError("has neither a BOS nor an EOS token to begin a text with", {
    file,
    hint: "name a `bos_token` or an `eos_token` in tokenizer_config.json",
  });
}

function withOneEos({ eosId, eosIds, file }: Tokenizer, ids: number[]): number[] {
  if (eosId === undefined) {
    throw new UserError("has no EOS token, so a model could not learn where an answer ends", {
      file,
      hint: "name an `eos_token` in tokenizer_config.json or an `eos_token_id` in config.json",
    });
  }
  while (ends(ids.at(-1)) && ends(ids.at(-2))) ids.pop();
  if (!ends(ids.at(-1))) ids.push(eosId);
  return ids;

  function ends(id: number | undefined): boolean {
    return id !== undefined && eosIds.includes(id);
  }
}
