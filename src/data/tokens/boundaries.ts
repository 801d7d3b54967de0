/**
 * The beginning and the end of texts: the one policy on BOS and EOS, used for training, evaluation
 * and generation alike.
 *
 * - A prompt begins with BOS if the tokenizer itself would add it, and never with two.
 * - An empty prompt is one token all the same, for the first token of the answer needs something to
 *   be predicted from: BOS, or EOS where the model has no BOS (as GPT-2 does).
 * - A response ends with exactly one EOS. If its text already ends with a token that ends texts,
 *   none is added; of several, one stays.
 * - A prompt and its response are tokenized apart, so no token spans the boundary, and the prompt's
 *   tokens are the same in training and in generation. The response gets no artificial space in
 *   front (see `prefix-space.ts`).
 * - Texts that a chat template wrote hold all their tokens, so nothing is put in front of a prompt.
 *   A response ends with the token that ends the turn. What the template writes behind it, such as
 *   a line break, belongs to the next turn. Where a turn ends with no token, EOS ends the response.
 * - A text on its own begins with the token of an empty prompt and ends with EOS.
 */
import { UserError } from "../../errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Token ids of prompts, each at least one. */
export async function encodePrompts(tokenizer: Tokenizer, prompts: readonly string[]): Promise<number[][]> {
  const encoded = await tokenizer.encode(prompts.map((text) => ({ text, continues: false })));
  return encoded.map((list) => {
    const ids = Array.from(list);
    if (ids.length === 0) return [startToken(tokenizer)];
    if (tokenizer.addsBos && ids[0] !== tokenizer.bosId) ids.unshift(startToken(tokenizer));
    return ids;
  });
}

/**
 * Token ids of responses to prompts, with EOS at the end. Throws a `UserError` if there is no EOS.
 */
export async function encodeResponses(
  tokenizer: Tokenizer,
  responses: readonly { readonly prompt: string; readonly response: string }[],
): Promise<number[][]> {
  const encoded = await tokenizer.encode(
    responses.map(({ prompt, response }) => ({ text: response, continues: isContinuation(prompt) })),
  );
  return encoded.map((ids) => withOneEos(tokenizer, Array.from(ids)));
}

/** Token ids of prompts that a chat template wrote, each at least one. */
export async function encodeRenderedPrompts(tokenizer: Tokenizer, prompts: readonly string[]): Promise<number[][]> {
  const encoded = await tokenizer.encode(prompts.map((text) => ({ text, continues: false })));
  return encoded.map((ids) => (ids.length === 0 ? [startToken(tokenizer)] : Array.from(ids)));
}

/** A response that a chat template wrote, and the token that ends a turn of it. */
export interface RenderedResponse {
  readonly response: string;
  readonly endOfTurn: number | undefined;
}

/** Token ids of responses that a chat template wrote, to their ends of the turn. */
export async function encodeRenderedResponses(
  tokenizer: Tokenizer,
  responses: readonly RenderedResponse[],
): Promise<number[][]> {
  const encoded = await tokenizer.encode(responses.map(({ response }) => ({ text: response, continues: true })));
  return encoded.map((ids, index) => toEndOfTurn(tokenizer, Array.from(ids), responses[index]!.endOfTurn));
}

/** The ids to the end of the turn, which further ends and white space may follow. */
function toEndOfTurn(tokenizer: Tokenizer, ids: number[], endOfTurn: number | undefined): number[] {
  const { specialTokens, eosIds } = tokenizer;
  const ends = (id: number) => id === endOfTurn || specialTokens.has(id) || eosIds.includes(id);
  const isSpace = (id: number) => tokenizer.decode([id]).trim() === "";
  let last: number | undefined;
  for (let at = ids.length - 1; at >= 0 && (ends(ids[at]!) || isSpace(ids[at]!)); at--) {
    if (ids[at] === endOfTurn) return ids.slice(0, at + 1);
    if (ends(ids[at]!)) last ??= at;
  }
  if (last !== undefined) return ids.slice(0, last + 1);
  while (ids.length > 0 && isSpace(ids.at(-1)!)) ids.pop();
  return withOneEos(tokenizer, ids);
}

/** True if a response to `prompt` continues a text: to an empty one it begins the text. */
export function isContinuation(prompt: string): boolean {
  return prompt !== "";
}

/** Token ids of texts on their own: the start token, the text, EOS. */
export async function encodeTexts(tokenizer: Tokenizer, texts: readonly string[]): Promise<number[][]> {
  const start = startToken(tokenizer);
  const encoded = await tokenizer.encode(texts.map((text) => ({ text, continues: false })));
  return encoded.map((list) => {
    const ids = Array.from(list);
    if (ids[0] !== start) ids.unshift(start);
    return withOneEos(tokenizer, ids);
  });
}

/** True if token ids are those of an empty prompt. */
export function isEmptyPrompt({ bosId, eosId }: Tokenizer, ids: ArrayLike<number>): boolean {
  return ids.length === 0 || (ids.length === 1 && ids[0] === (bosId ?? eosId));
}

/**
 * The token that stands for an empty prompt. Throws a `UserError` if the model has neither BOS nor
 * EOS.
 */
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
