import { encodePrompts, encodeResponses, encodeTexts } from "../boundaries.ts";
import type { Tokenizer } from "../tokenizer.ts";

/** The ids of one text that begins, or continues another. */
export async function tokenIds(tokenizer: Tokenizer, text: string, continues = false): Promise<number[]> {
  const [ids] = await tokenizer.encode([{ text, continues }]);
  return Array.from(ids!);
}

/** The ids of one prompt. */
export async function promptIds(tokenizer: Tokenizer, prompt: string): Promise<number[]> {
  return (await encodePrompts(tokenizer, [prompt]))[0]!;
}

/** The ids of one response. */
export async function responseIds(tokenizer: Tokenizer, prompt: string, response: string): Promise<number[]> {
  return (await encodeResponses(tokenizer, [{ prompt, response }]))[0]!;
}

/** The ids of one text on its own. */
export async function textIds(tokenizer: Tokenizer, text: string): Promise<number[]> {
  return (await encodeTexts(tokenizer, [text]))[0]!;
}
